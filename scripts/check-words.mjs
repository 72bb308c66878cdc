/**
 * Checks the language of the repository: words with a better-known term, and the width of comments.
 * Reads file names from standard input, one a line; prints each problem as `file:line: problem`, and
 * exits with code 1 when there is one. scripts/check-repository.sh runs it.
 */
import { readFileSync } from 'node:fs';

/**
 * Vendored files and data; this file, which contains the words; and the JSON output of kafnus
 * replay, which has a field `letter`.
 */
const unchecked =
  /^tools\/cli\/src\/replay\/replay-report\.ts$|^scripts\/check-words\.mjs$|^scripts\/helm\/crds\/|\.(json|jsonl|sum|svg|png)$|lock\.yaml$|^LICENSE$/;

/** Words of comments, documentation, messages and names, each with the term to use instead. */
const words = [
  ['leash', 'exit with parent'],
  [String.raw`\banew\b`, 'again, recreated'],
  ['survey', 'scan, plan'],
  [String.raw`\bcrews?\b`, 'agents, group'],
  [String.raw`\bheirs?\b`, 'successor'],
  [String.raw`\b(?:from )?what flows\b`, 'the records in the output topics'],
  [String.raw`\bturn(?:s|ing)? in circles\b`, 'loop'],
  [String.raw`\bpatience\b`, 'pollTimeoutMs, timeout'],
  [String.raw`\btold of\b`, 'reported, notified of'],
  ['verdictOn', 'classify'],
  ['isHopeless', 'needsOperator'],
  ['hasEnded', 'isProducerUnusable'],
  [String.raw`\bdisown`, 'unassign'],
  [String.raw`\bcondemned\b`, 'refused'],
  [String.raw`\bjudg(?:e[ds]?|ing)\b`, 'check, classify'],
  [String.raw`\btells? of\b`, 'reports, shows'],
  [String.raw`\bwithout a word\b`, 'without a report, silently'],
  [String.raw`\bkin\b`, 'the like'],
  [String.raw`\bisPurge\b|#asked\b|#reached\b|#holds\b`, 'isPurgedOnClose, maxPollRecords, position, buffersOutputs'],
  [String.raw`\bsent away\b`, 'gets CONCURRENT_TRANSACTIONS and backs off'],
  // Not: dead letter, deadLetter, dead-letter; nor the letters of a text; nor the property of CSS.
  [
    String.raw`(?<!dead[-_ ]?|small )letters?\b(?! and digits|, digits| or a digit|-spacing)`,
    'dead letter, dead-letter record',
  ],
].map(([word, better]) => ({
  // A phrase may continue on the next line of a comment.
  pattern: new RegExp(word.replaceAll(' ', String.raw`(?: |\n\s*(?:\*|//|#)? *)`), 'gi'),
  better,
}));

const maxComment = 100;
/** The start of a comment line, by kind of file. */
const commentStarts = [
  [/\.(ts|mjs|js|java|go)$/, /^\s*(\/\/|\/?\*)/],
  [/\.(sh|ya?ml|tpl|properties)$|(^|\/)(Makefile|Dockerfile)$/, /^\s*#/],
];

function problemsOf(file) {
  const text = readFileSync(file, 'utf8');
  const lineAt = (index) => text.slice(0, index).split('\n').length;
  const badWords = words.flatMap(({ pattern, better }) =>
    [...text.matchAll(pattern)].map(
      ({ 0: word, index }) => `${file}:${lineAt(index)}: "${word.replace(/\s+/g, ' ')}"   <- say: ${better}`,
    ),
  );
  const start = commentStarts.find(([kind]) => kind.test(file))?.[1];
  if (start === undefined) return badWords;
  const wide = text.split('\n').flatMap((line, index) =>
    // A link cannot be broken.
    line.length > maxComment && start.test(line) && !line.includes('://')
      ? [`${file}:${index + 1}: a comment line of ${line.length} columns   <- at most ${maxComment}`]
      : [],
  );
  return [...badWords, ...wide];
}

const files = readFileSync(0, 'utf8').split('\n').filter(Boolean);
const problems = files.filter((file) => !unchecked.test(file)).flatMap(problemsOf);
if (problems.length > 0) {
  process.stdout.write(`${problems.join('\n')}\n`);
  process.exitCode = 1;
}
