/** Generates docs/cli.md from `kafnus --help` and the help of each command. */

/** Where the command is explained. */
const pages = {
  acls: '[security.md](security.md#rights)',
  demo: '[README](../README.md)',
  lag: '[lag.md](lag.md)',
  replay: '[replay.md](replay.md)',
  send: '[orion.md](orion.md#without-an-orion)',
  stack: '[README](../README.md#into-postgis)',
  state: '[operations.md](operations.md#adding-partitions)',
  tables: '[tables.md](tables.md)',
  top: '[lag.md](lag.md)',
  topics: '[operations.md](operations.md#topics)',
};

/**
 * @param {string} programHelp
 * @param {{ name: string, help: string }[]} commands
 */
export function cliPage(programHelp, commands) {
  const block = (text) => `\`\`\`text\n${text.trimEnd()}\n\`\`\``;
  const sections = commands.map(({ name, help }) => {
    const more = pages[name] === undefined ? '' : `More: ${pages[name]}.\n\n`;
    return `## kafnus ${name}\n\n${more}${block(help)}\n`;
  });
  return `<!-- Written by \`make docs\` from the help of the commands (tools/cli/src/commands). -->

# The command line

In a clone, \`kafnus\` is \`./kafnus\`: the first call builds what it needs; elsewhere it is the image \`kafnus-ngsi-cli\`. The agents have a command line of their own: settings as arguments
([configuration.md](configuration.md)), and \`topics\` before them, as in \`node services/lastdata/dist/main.js topics check\`.

${block(programHelp)}

${sections.join('\n')}`;
}
