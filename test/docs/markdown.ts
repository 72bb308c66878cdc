/** A Markdown page as the checks see it: what it links to, what can be linked to, and what it shows as code. */
import { parsers } from 'prettier/plugins/markdown';
import type { ParserOptions } from 'prettier';

/** A node of the syntax tree (https://github.com/syntax-tree/mdast), as far as it is needed here. */
interface Node {
  readonly type: string;
  readonly value?: string;
  readonly url?: string;
  readonly alt?: string;
  readonly children?: readonly Node[];
}

export interface Page {
  /** Targets of links and images, as written. */
  readonly links: readonly string[];
  /** What `#...` may name: GitHub's anchors of the headings, and `id` or `name` of HTML. */
  readonly anchors: ReadonlySet<string>;
  /** Headings as text. */
  readonly headings: readonly string[];
  /** Texts in backticks. */
  readonly spans: readonly string[];
  /** Code blocks. */
  readonly blocks: readonly string[];
}

/** @param text a Markdown page */
export function parsePage(text: string): Page {
  // The parser of prettier needs no option for plain Markdown; its type asks for all of them.
  const root = parsers.markdown.parse(text, {} as ParserOptions) as Node;
  const nodes = [...walk(root)];
  const headings = nodes.filter(({ type }) => type === 'heading').map((heading) => plain(heading));
  const html = nodes.filter(({ type }) => type === 'html').map(({ value = '' }) => value);
  return {
    links: [
      ...nodes.flatMap(({ url }) => (url === undefined ? [] : [url])),
      ...html.flatMap((tag) => [...tag.matchAll(/\b(?:href|src)="([^"]*)"/g)].map(([, url = '']) => url)),
    ],
    anchors: new Set([
      ...anchorsOf(headings),
      ...html.flatMap((tag) => [...tag.matchAll(/\b(?:id|name)="([^"]*)"/g)].map(([, id = '']) => id)),
    ]),
    headings,
    spans: nodes.filter(({ type }) => type === 'inlineCode').map(({ value = '' }) => value),
    blocks: nodes.filter(({ type }) => type === 'code').map(({ value = '' }) => value),
  };
}

function* walk(node: Node): Generator<Node> {
  yield node;
  for (const child of node.children ?? []) yield* walk(child);
}

function plain(node: Node): string {
  return node.value ?? node.alt ?? (node.children ?? []).map(plain).join('');
}

/** As GitHub makes them: lower case, no punctuation, dashes for blanks, and a number behind a heading that comes again. */
function anchorsOf(headings: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return headings.map((heading) => {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}\p{Pc} -]/gu, '')
      .replaceAll(' ', '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return times === 0 ? slug : `${slug}-${times}`;
  });
}
