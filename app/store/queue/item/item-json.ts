/**
 * JSON of items whose payloads are JSON already, with commas between them, in pieces: the payloads are spliced in as the
 * database wrote them, digit for digit.
 */
export function itemTexts(items: readonly { payloadJson: string }[]): string[] {
  return items.flatMap((item, n) => pieces(item, n === 0 ? '' : ','))
}

function pieces({ payloadJson, ...item }: { payloadJson: string }, before: string): string[] {
  const json = JSON.stringify(item)
  return [`${before}${json.slice(0, -1)}${json === '{}' ? '' : ','}"payload":`, payloadJson, '}']
}
