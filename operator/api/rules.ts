/** One CEL rule of a schema. `message` is what the user reads when it does not hold, with what to do. */
export type Rule = { rule: string; message: string; fieldPath?: string; reason?: string; optionalOldSelf?: boolean }

/** The option of a schema that carries its rules. */
export function rules(...list: Rule[]): { 'x-kubernetes-validations': Rule[] } {
  return { 'x-kubernetes-validations': list }
}

/** A union by presence: at most one of the members. Without any, the operator takes the first. */
export function atMostOne(members: string[]): Rule {
  const count = members.map((member) => `(has(self.${member}) ? 1 : 0)`).join(' + ')
  return { rule: `${count} <= 1`, message: `at most one of ${members.join(', ')} may be set; remove the other` }
}

/** For a spec that never changes once it is stored. */
export const IMMUTABLE: Rule = {
  rule: 'self == oldSelf',
  message: 'spec cannot be changed; delete this object and create a new one',
}

/** A name that begins with a letter, so that children and DNS accept it, and leaves room for what is added to it. */
export function nameRule(maxLength: number): Rule {
  return {
    rule: `self.metadata.name.size() <= ${maxLength} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')`,
    message: `metadata.name must start with a letter, contain only a-z, 0-9 and -, not end with -, and have at most ${maxLength} characters, because it is a part of the names of other objects`,
  }
}
