/** The completion scripts of three shells. Pure. */
import { shellQuoted } from '../terminal/text.js';
import type { Definition } from './definitions.js';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** Options of the program itself. */
const ownOptions = ['--help', '--version'] as const;

export function completionScript(shell: Shell, definitions: readonly Definition[]): string {
  switch (shell) {
    case 'bash':
      return bash(definitions);
    case 'zsh':
      return zsh(definitions);
    case 'fish':
      return fish(definitions);
  }
}

function bash(definitions: readonly Definition[]): string {
  const words = ({ actions, options }: Definition): string =>
    [...actions, ...options.map(({ name }) => name)].join(' ');
  return `# kafnus: source <(kafnus completion bash)
_kafnus() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words=
  if ((COMP_CWORD == 1)); then
    words='${[...definitions.map(({ name }) => name), ...ownOptions].join(' ')}'
  else
    # The next word is the value of an option: the shell completes files.
    case $before in ${valued(definitions).join(' | ')}) return ;; esac
    case \${COMP_WORDS[1]} in
${definitions.map((each) => `      ${each.name}) words='${words(each)}' ;;\n`).join('')}    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _kafnus kafnus
`;
}

function zsh(definitions: readonly Definition[]): string {
  const described = (pairs: readonly (readonly [string, string])[]): string =>
    pairs.map(([word, text]) => ` ${shellQuoted(text === '' ? word : `${word}:${text}`)}`).join('');
  const choices = definitions.map(({ name, actions, options }) => {
    const pairs = [
      ...actions.map((action) => [action, ''] as const),
      ...options.map((one) => [one.name, one.text] as const),
    ];
    return `    ${name}) choices=(${described(pairs)}) ;;\n`;
  });
  return `#compdef kafnus
# kafnus: source <(kafnus completion zsh), after compinit
_kafnus() {
  local -a choices
  if ((CURRENT == 2)); then
    choices=(${described([...definitions.map(({ name, summary }) => [name, summary] as const), ...ownOptions.map((name) => [name, ''] as const)])})
    _describe command choices
    return
  fi
  # The next word is the value of an option.
  case $words[CURRENT-1] in ${valued(definitions).join(' | ')}) _files; return ;; esac
  case $words[2] in
${choices.join('')}  esac
  _describe option choices || _files
}
# Sourced, or autoloaded at its first use from a file _kafnus in $fpath.
if [[ $funcstack[1] == _kafnus ]]; then _kafnus "$@"; else compdef _kafnus kafnus; fi
`;
}

function fish(definitions: readonly Definition[]): string {
  const first = `complete -c kafnus -n '__kafnus_command ""'`;
  const lines = definitions.flatMap(({ name, summary, actions, options }) => {
    const behind = `complete -c kafnus -n '__kafnus_command ${name}'`;
    return [
      `${first} -f -a ${name} -d ${shellQuoted(summary)}`,
      ...actions.map((action) => `${behind} -f -a ${action}`),
      ...options.map((one) => {
        const value = one.takesValue ? ' -r' : '';
        const text = one.text === '' ? '' : ` -d ${shellQuoted(one.text)}`;
        return `${behind} -l ${one.name.slice(2)}${value}${text}`;
      }),
    ];
  });
  return `# kafnus: kafnus completion fish > ~/.config/fish/completions/kafnus.fish
# The command is the first word: the value of an option may be equal to a command.
function __kafnus_command
  set -l words (commandline -opc)
  test "$words[2]" = "$argv[1]"
end
${[...ownOptions.map((name) => `${first} -l ${name.slice(2)}`), ...lines].join('\n')}
`;
}

/** The options of all commands that take a value. */
function valued(definitions: readonly Definition[]): string[] {
  const names = definitions.flatMap(({ options }) => options.filter((one) => one.takesValue).map(({ name }) => name));
  return [...new Set(names)].sort();
}
