/** The contract between a service and the runtime: see libs/agent-contract. */
export type * from '@kafnus/agent-contract';
