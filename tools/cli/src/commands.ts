import type { Command } from './command.js';

/** A command as the list of them shows it; its code is loaded when it is called. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ readonly command: Command }>;
}

/** Every command, in the order of `kafnus --help`. A new one is a file in `commands/` and a line here. */
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
    summary: 'Watch the four agents at work, on a broker of its own',
    load: () => import('./commands/demo.js'),
  },
  {
    name: 'lag',
    summary: 'Tell how far the agents are behind, and what is wrong',
    load: () => import('./commands/lag.js'),
  },
  {
    name: 'replay',
    summary: 'Send dead letters back to the topics that their records came from',
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
    summary: "Carry lastdata's state over to more partitions, or check where it lies",
    load: () => import('./commands/state.js'),
  },
  {
    name: 'tables',
    summary: 'Make and check the PostGIS tables that the sinks need, from what flows',
    load: () => import('./commands/tables.js'),
  },
  {
    name: 'top',
    summary: 'Watch the agents: rates, lag, restores, rejects',
    load: () => import('./commands/top.js'),
  },
  {
    name: 'topics',
    summary: 'Create and check the topics that the agents need',
    load: () => import('./commands/topics.js'),
  },
];
