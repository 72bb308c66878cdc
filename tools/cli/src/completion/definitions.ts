/** The actions and options of a command, parsed from its help. Pure. */

export interface Definition {
  readonly name: string;
  readonly summary: string;
  /** The words after the command in the usage lines, such as `plan` and `apply`. */
  readonly actions: readonly string[];
  readonly options: readonly OptionDefinition[];
}

interface OptionDefinition {
  /** With its dashes. */
  readonly name: string;
  readonly takesValue: boolean;
  readonly text: string;
}

/**
 * Parses the usage lines (`Usage: kafnus tables plan [options]`) and the option lines (`  --name
 * VALUE  text`).
 */
export function definitionOf({ name, summary }: Pick<Definition, 'name' | 'summary'>, help: string): Definition {
  const usage = help.split('\n\n')[0] ?? '';
  const words = [...usage.matchAll(/kafnus (\S+) ([a-z][a-z-]*(?:\|[a-z][a-z-]*)*)(?=\s|$)/g)];
  const actions = words.filter(([, command]) => command === name).flatMap(([, , action = '']) => action.split('|'));
  // A description may continue on the next lines, which are indented more than an option.
  const line = /^ {2}(--[a-z][a-z-]*)(?:[ =]([A-Z][A-Z,-]*))?((?: {2}.*)?(?:\n {6,}\S.*)*)$/gm;
  const options = [...help.matchAll(line)].map(([, option = '', value, text = '']): OptionDefinition => {
    return { name: option, takesValue: value !== undefined, text: text.trim().replace(/\s+/g, ' ') };
  });
  const known = new Map(options.map((option) => [option.name, option]));
  return { name, summary, actions: [...new Set(actions)], options: [...known.values()] };
}
