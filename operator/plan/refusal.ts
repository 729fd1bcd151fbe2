/**
 * An object that the API server would not take: as it is, now or later (something in the spec, a quota, a policy), or, where
 * it `isTransient`, because of a trouble that is not the object's. Where it `isForeign`, it was not even asked: an object of
 * somebody else has the name.
 */
export type Refusal = { kind: string; name: string; message: string; isTransient?: boolean; isForeign?: boolean }
