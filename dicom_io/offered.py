"""What the listener takes: SOP Classes (PS3.4 B.5) and transfer syntaxes (PS3.5 8, 10), the ones it prefers first."""

from __future__ import annotations

from typing import Final

from pydicom import uid
from pynetdicom import build_context
from pynetdicom.presentation import PresentationContext

VERIFICATION: Final = "1.2.840.10008.1.1"

IMAGES: Final = (
    uid.CTImageStorage,
    uid.EnhancedCTImageStorage,
    uid.LegacyConvertedEnhancedCTImageStorage,
    uid.MRImageStorage,
    uid.EnhancedMRImageStorage,
    uid.LegacyConvertedEnhancedMRImageStorage,
    uid.ComputedRadiographyImageStorage,
    uid.DigitalXRayImageStorageForPresentation,
    uid.DigitalMammographyXRayImageStorageForPresentation,
    uid.UltrasoundImageStorage,
    uid.UltrasoundMultiFrameImageStorage,
    uid.XRayAngiographicImageStorage,
    uid.XRayRadiofluoroscopicImageStorage,
    uid.NuclearMedicineImageStorage,
    uid.PositronEmissionTomographyImageStorage,
    uid.LegacyConvertedEnhancedPETImageStorage,
    uid.SecondaryCaptureImageStorage,
    uid.MultiFrameSingleBitSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
)

# Structured reports that a person may have written.
REPORTS: Final = (
    uid.BasicTextSRStorage,
    uid.EnhancedSRStorage,
    uid.ComprehensiveSRStorage,
    uid.Comprehensive3DSRStorage,
)

# Kept with the study for what they say about it; they have no pixels of their own.
DOCUMENTS: Final = (
    uid.KeyObjectSelectionDocumentStorage,
    uid.GrayscaleSoftcopyPresentationStateStorage,
    uid.ColorSoftcopyPresentationStateStorage,
    uid.PseudoColorSoftcopyPresentationStateStorage,
    uid.BlendingSoftcopyPresentationStateStorage,
    uid.XAXRFGrayscaleSoftcopyPresentationStateStorage,
    uid.AdvancedBlendingPresentationStateStorage,
    *REPORTS,
    uid.ExtensibleSRStorage,
    uid.MammographyCADSRStorage,
    uid.ChestCADSRStorage,
    uid.XRayRadiationDoseSRStorage,
    uid.RadiopharmaceuticalRadiationDoseSRStorage,
    uid.EncapsulatedPDFStorage,
)

UNCOMPRESSED: Final = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
)

# Not JPEG Extended (.51), whose 12 bits no decoder of ours reads, and not big endian, which is retired.
COMPRESSED: Final = (
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.RLELossless,
    uid.HTJ2K,
    uid.JPEG2000,
    uid.JPEGLSNearLossless,
    uid.JPEGBaseline8Bit,
)


COMMON: Final = UNCOMPRESSED[:2]  # which everybody speaks


def verification() -> PresentationContext:
    return build_context(VERIFICATION, list(COMMON))


def storage() -> list[PresentationContext]:
    return [
        *(build_context(image, [*UNCOMPRESSED, *COMPRESSED]) for image in IMAGES),
        *(build_context(document, list(UNCOMPRESSED)) for document in DOCUMENTS),
    ]


def supports(sop_class_uid: str, transfer_syntax_uid: str | None = None) -> bool:
    """Whether an object of that class is taken; with a transfer syntax, whether it is taken in that one."""
    if sop_class_uid in IMAGES:
        return transfer_syntax_uid in (None, *UNCOMPRESSED, *COMPRESSED)
    return sop_class_uid in DOCUMENTS and transfer_syntax_uid in (None, *UNCOMPRESSED)


def offered() -> list[PresentationContext]:
    """The presentation contexts that the listener always supports."""
    return [verification(), *storage()]
