/** A time as Kubernetes' MicroTime writes it. */
export function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z')
}
