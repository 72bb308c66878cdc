import type { Command } from './command.js';

/** An entry of the list of commands. The code of a command is loaded when it is called. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ readonly command: Command }>;
}

/** All commands, in the order of `kafnus --help`. */
export const commands: readonly CommandEntry[] = [
  {
    name: 'acls',
    summary: 'Print the Kafka ACLs that the agents need, as a script',
    load: () => import('./commands/acls.js'),
  },
  {
    name: 'completion',
    summary: 'Print a script that completes commands and options in bash, zsh or fish',
    load: () => import('./commands/completion.js'),
  },
  {
    name: 'demo',
    summary: 'Run the four agents on a broker of its own, and show their output',
    load: () => import('./commands/demo.js'),
  },
  {
    name: 'lag',
    summary: 'Show the lag of the agents, and what is wrong',
    load: () => import('./commands/lag.js'),
  },
  {
    name: 'replay',
    summary: 'Send the records of dead letters back to their topics',
    load: () => import('./commands/replay.js'),
  },
  {
    name: 'send',
    summary: 'Publish NGSIv2 notifications to raw topics, as Orion would',
    load: () => import('./commands/send.js'),
  },
  {
    name: 'stack',
    summary: 'Run Kafka, PostGIS, Kafka Connect and the four agents, until Ctrl-C',
    load: () => import('./commands/stack.js'),
  },
  {
    name: 'state',
    summary: 'Add partitions to the input of lastdata and move its state, or check the state',
    load: () => import('./commands/state.js'),
  },
  {
    name: 'tables',
    summary: 'Create and check the PostGIS tables that the sinks need',
    load: () => import('./commands/tables.js'),
  },
  {
    name: 'top',
    summary: 'Show rates, lag, restores and rejects of the agents, live',
    load: () => import('./commands/top.js'),
  },
  {
    name: 'topics',
    summary: 'Create and check the topics that the agents need',
    load: () => import('./commands/topics.js'),
  },
];
