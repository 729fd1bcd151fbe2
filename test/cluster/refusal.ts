/** Why a cluster cannot be made here, and what to do: one sentence, shown without a stack. */
export class Refusal extends Error {}
