"""What reports on phantoms are made of: several ways to say each finding, and its absence."""

from __future__ import annotations

CONSOLIDATION = (
    "There is consolidation in the {side} {zone} zone.",
    "Airspace opacity in the {side} {zone} zone.",
    "Patchy {side} {zone} zone consolidation is seen.",
    "The {side} {zone} zone shows consolidation with air bronchograms.",
)
NODULE = (
    "A small nodule projects over the {side} {zone} zone.",
    "There is a solitary nodule in the {side} {zone} zone.",
    "Rounded nodular opacity in the {side} {zone} zone.",
    "{Side} {zone} zone pulmonary nodule.",
)
LUNGS_CLEAR = (
    "The lungs are clear.",
    "Both lungs are clear.",
    "No focal consolidation or nodule.",
    "Clear lungs without focal opacity.",
)
NO_CONSOLIDATION = ("No focal consolidation.", "No consolidation is seen.", "There is no airspace opacity.")
NO_NODULE = ("No pulmonary nodule.", "No nodule is seen.", "There is no pulmonary nodule.")
LUNG_CLEAR = ("The {side} lung is clear.", "No focal opacity in the {side} lung.")

NO_CONSOLIDATION_HERE = ("No consolidation in the {side} lung.",)
NO_NODULE_HERE = ("No nodule in the {side} lung.",)

EFFUSION = (
    "{Size} {side} pleural effusion.",
    "There is a {size} pleural effusion on the {side}.",
    "A {size} {side} effusion is present.",
    "{Size} effusion at the {side} base.",
)
EFFUSIONS = (
    "{Size} bilateral pleural effusions.",
    "There are {size} pleural effusions on both sides.",
    "{Size} effusions at both bases.",
)
PNEUMOTHORAX = (
    "There is a {side} pneumothorax.",
    "{Side} apical pneumothorax.",
    "A pneumothorax is present on the {side}.",
)
PNEUMOTHORACES = ("Bilateral pneumothoraces.", "There are pneumothoraces on both sides.")
PLEURA_CLEAR = (
    "No pleural effusion or pneumothorax.",
    "The pleural spaces are clear.",
    "No pneumothorax or effusion is seen.",
)
NO_EFFUSION = ("No pleural effusion.", "There is no effusion.", "No pleural effusion is seen.")
NO_PNEUMOTHORAX = ("No pneumothorax.", "There is no pneumothorax.", "No pneumothorax is seen.")
NO_EFFUSION_HERE = ("No {side} pleural effusion.", "No effusion on the {side}.")
NO_PNEUMOTHORAX_HERE = ("No {side} pneumothorax.", "No pneumothorax on the {side}.")

HEART = {
    "normal": (
        "Heart size is normal.",
        "The cardiac silhouette is normal in size.",
        "The heart is not enlarged.",
        "Normal cardiac contours.",
    ),
    "mild": (
        "Mild cardiomegaly.",
        "The heart is mildly enlarged.",
        "Mildly enlarged cardiac silhouette.",
        "There is mild cardiomegaly.",
    ),
    "marked": (
        "Marked cardiomegaly.",
        "The heart is markedly enlarged.",
        "Markedly enlarged cardiac silhouette.",
        "There is marked cardiomegaly.",
    ),
}
TUBE = (
    "An endotracheal tube is in place.",
    "Endotracheal tube with its tip above the carina.",
    "The endotracheal tube projects over the trachea.",
)
LINE = (
    "A {side} central venous line is in place.",
    "{Side} central venous catheter with its tip in the superior vena cava.",
    "A central line enters from the {side}.",
)
NO_DEVICES = ("No lines or tubes.", "No support devices.", "No endotracheal tube or central line.")
NO_TUBE = ("No endotracheal tube.", "There is no endotracheal tube.")
NO_LINE = ("No central venous line.", "There is no central line.")
OTHER = (
    "The bones are unremarkable.",
    "No acute bony abnormality.",
    "Visualized osseous structures are intact.",
    "The mediastinal contours are unremarkable.",
)

SAID_IN_SHORT = {
    "consolidation": (
        "{Side} {zone} zone pneumonia.",
        "{Side} {zone} zone consolidation, likely pneumonia.",
        "Consolidation in the {side} {zone} zone.",
    ),
    "nodule": (
        "{Side} {zone} zone nodule.",
        "{Side} {zone} zone nodule, CT is recommended.",
        "Nodule in the {side} {zone} zone, follow up advised.",
    ),
    "effusion": ("{Size} {side} pleural effusion.", "{Size} {side} effusion.", "{Size} effusion on the {side}."),
    "effusions": ("{Size} bilateral effusions.", "{Size} bilateral pleural effusions."),
    "pneumothorax": ("{Side} pneumothorax.", "Pneumothorax on the {side}."),
    "pneumothoraces": ("Bilateral pneumothoraces.",),
    "mild": ("Mild cardiomegaly.", "Mildly enlarged heart."),
    "marked": ("Marked cardiomegaly.", "Markedly enlarged heart."),
    "tube": ("Endotracheal tube in place.",),
    "line": ("{Side} central line in place.",),
}
NOTHING = (
    "No acute cardiopulmonary abnormality.",
    "No acute cardiopulmonary process.",
    "No acute disease in the chest.",
    "No acute findings.",
)


EVERY_PHRASE = (
    *CONSOLIDATION,
    *NODULE,
    *LUNGS_CLEAR,
    *NO_CONSOLIDATION,
    *NO_NODULE,
    *LUNG_CLEAR,
    *NO_CONSOLIDATION_HERE,
    *NO_NODULE_HERE,
    *EFFUSION,
    *EFFUSIONS,
    *PNEUMOTHORAX,
    *PNEUMOTHORACES,
    *PLEURA_CLEAR,
    *NO_EFFUSION,
    *NO_PNEUMOTHORAX,
    *NO_EFFUSION_HERE,
    *NO_PNEUMOTHORAX_HERE,
    *TUBE,
    *LINE,
    *NO_DEVICES,
    *NO_TUBE,
    *NO_LINE,
    *OTHER,
    *NOTHING,
    *(phrase for phrases in HEART.values() for phrase in phrases),
    *(phrase for phrases in SAID_IN_SHORT.values() for phrase in phrases),
)


# On one side, and on both.
DENIALS = {
    "effusion": (NO_EFFUSION_HERE, NO_EFFUSION),
    "pneumothorax": (NO_PNEUMOTHORAX_HERE, NO_PNEUMOTHORAX),
    "consolidation": (NO_CONSOLIDATION_HERE, NO_CONSOLIDATION),
    "nodule": (NO_NODULE_HERE, NO_NODULE),
}
