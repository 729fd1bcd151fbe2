/** An object that the API server would not take as it is, now or later: something in the spec, a quota, a policy. */
export type Refusal = { kind: string; name: string; message: string }
