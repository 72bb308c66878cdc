/** What can be typed, from the help of the commands themselves: whatever they tell, a shell can complete. Pure. */

export interface Definition {
  readonly name: string;
  readonly summary: string;
  /** `plan`, `apply`: what the usage lines name behind the command. */
  readonly actions: readonly string[];
  readonly options: readonly OptionDefinition[];
}

interface OptionDefinition {
  /** With its dashes. */
  readonly name: string;
  readonly takesValue: boolean;
  readonly text: string;
}

/** Reads the usage lines (`Usage: kafnus tables plan [options]`) and the option lines (`  --name VALUE  text`) of a help. */
export function definitionOf({ name, summary }: Pick<Definition, 'name' | 'summary'>, help: string): Definition {
  const usage = help.split('\n\n')[0] ?? '';
  const words = [...usage.matchAll(/kafnus (\S+) ([a-z][a-z-]*(?:\|[a-z][a-z-]*)*)(?=\s|$)/g)];
  const actions = words.filter(([, command]) => command === name).flatMap(([, , action = '']) => action.split('|'));
  // A text goes on below itself, further in than an option begins.
  const line = /^ {2}(--[a-z][a-z-]*)(?:[ =]([A-Z][A-Z,-]*))?((?: {2}.*)?(?:\n {6,}\S.*)*)$/gm;
  const options = [...help.matchAll(line)].map(([, option = '', value, text = '']): OptionDefinition => {
    return { name: option, takesValue: value !== undefined, text: text.trim().replace(/\s+/g, ' ') };
  });
  const known = new Map(options.map((option) => [option.name, option]));
  return { name, summary, actions: [...new Set(actions)], options: [...known.values()] };
}
