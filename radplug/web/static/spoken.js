// What was meant by what a browser has heard: phrases, sections and commands. Words in, actions out; no page.

const COMMANDS = {
  undo: "undo", redo: "redo", accept: "accept",
  keep: "keep", "keep that": "keep", "keep this": "keep",
  strike: "strike", "strike that": "strike", "scratch that": "strike",
};
// A colon is an organ too: the word is a mark only behind a heading, or where a list or a statement is announced.
const ANNOUNCES = "follows|following|comparison|technique|indication|history|note";
const NO_SENTENCE_ENDS = /\b(?:dr|mr|mrs|ms|st|vs|approx)\.$/i;

// `sections` are { name, heading }. The actions: { do: "pin", text }, { do: "section", name }, { do: "line" } for a line
// that ends, and { do: … } for each command. Sections and commands count where they are said by themselves: "impression",
// never "no change since the last impression". Each sentence is a phrase of its own.
export function actionsOf(transcript, sections) {
  const named = new Map(sections.flatMap(({ name, heading }) => [[plain(name), name], [plain(heading), name]]));
  const lines = transcript.normalize("NFC").split(/[\s,.]*\bnew line\b[\s,.]*/i);
  return lines.flatMap((line, index) => [
    ...(index ? [{ do: "line" }] : []),
    ...sentencesOf(marked(line, [...named.keys()])).flatMap((sentence) => meant(sentence, named)),
  ]);
}

function meant(sentence, named) {
  const said = plain(sentence);
  if (COMMANDS[said]) return [{ do: COMMANDS[said] }];
  const section = named.get(said.replace(/^(?:go to|section) /, ""));
  if (section !== undefined) return [{ do: "section", name: section }];
  const [, heading, rest] = sentence.match(/^([^:]+):\s*(.+)$/s) ?? [];
  if (heading && named.has(plain(heading))) return [{ do: "section", name: named.get(plain(heading)) }, ...meant(rest, named)];
  return said ? [{ do: "pin", text: written(sentence) }] : [];
}

// Punctuation that was spoken, as marks.
function marked(words, headings) {
  const colon = new RegExp(`((?:^|[.])\\s*(?:${headings.map(escaped).join("|")})|\\b(?:${ANNOUNCES}))\\s+colon\\b`, "gi");
  return words
    .replace(/\s*\bfull stop\b[.]?/gi, ".")
    .replace(colon, "$1:")
    .replace(/\s*\bcomma\b,?/gi, ",");
}

function sentencesOf(words) {
  const sentences = [""];
  for (const word of words.trim().split(/\s+/)) {
    const before = sentences.pop();
    sentences.push(before ? `${before} ${word}` : word);
    if (/[.?!]$/.test(word) && !NO_SENTENCE_ENDS.test(word)) sentences.push("");
  }
  return sentences.filter(Boolean);
}

// A sentence that was closed begins with a capital; part of one stays as it was heard.
const written = (sentence) => (sentence.endsWith(".") ? sentence[0].toUpperCase() + sentence.slice(1) : sentence);
const plain = (words) => words.toLowerCase().replace(/[\s.,:;?!]+/g, " ").trim();
const escaped = (words) => words.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
