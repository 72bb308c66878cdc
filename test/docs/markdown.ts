/** A parsed Markdown page: its links, its anchors, and its code. */
import { parsers } from 'prettier/plugins/markdown';
import type { ParserOptions } from 'prettier';

/** The part of a syntax tree node (https://github.com/syntax-tree/mdast) that is used here. */
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
  /**
   * Valid targets of `#...`: GitHub's anchors of the headings, and `id` or `name` of HTML elements.
   */
  readonly anchors: ReadonlySet<string>;
  /** The text of the headings. */
  readonly headings: readonly string[];
  /** The texts in backticks. */
  readonly spans: readonly string[];
  /** Code blocks. */
  readonly blocks: readonly string[];
}

/** @param text a Markdown page */
export function parsePage(text: string): Page {
  // Prettier's Markdown parser needs no option, but its type requires all of them.
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

/**
 * GitHub's anchors: lower case, no punctuation, dashes for blanks, and a numeric suffix on a
 * repeated heading.
 */
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
