/** SQL that renders a timestamptz as RFC 3339 in UTC to the microsecond: times never pass through a JavaScript Date. */
export function timeText(expression: string): string {
  return `to_char(${expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}
