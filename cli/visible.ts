/** What a stranger sends must not steer the terminal: control characters as `\\u001b`. */
export const visible = (text: string): string =>
  text.replaceAll(
    /\p{Cc}/gu,
    (sign) => `\\u${(sign.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
