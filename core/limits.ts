/**
 * What Pub/Sub takes (its quotas page, "Resource limits"). Both answers to the Topic port hold to it,
 * so that a message that passes on a laptop passes in the cloud.
 */
import { NightjarError } from './errors.ts'
import type { Message } from './ports.ts'

/** Data and attributes together. */
export const maxMessageBytes = 10_000_000
export const maxAttributes = 100
export const maxAttributeKeyBytes = 256
export const maxAttributeValueBytes = 1024

/** Bytes that count against the limits of size and of flow control. */
export function messageBytes({ data, attributes }: Message): number {
  let bytes = data.length
  for (const key in attributes) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(attributes[key] as string)
  }
  return bytes
}

/** Throw `message_too_large` or `attribute_invalid` where Pub/Sub would refuse the message. */
export function checkMessage(message: Message): void {
  const bytes = messageBytes(message)
  if (bytes > maxMessageBytes) {
    throw new NightjarError(
      'message_too_large',
      `Cannot publish a message of ${bytes} bytes: at most ${maxMessageBytes} are allowed`,
    )
  }
  let count = 0
  for (const key in message.attributes) {
    count++
    const value = message.attributes[key] as string
    // A string has at most three UTF-8 bytes per unit: most need no count.
    if (
      key.length === 0 ||
      (key.length * 3 > 256 && Buffer.byteLength(key) > maxAttributeKeyBytes)
    ) {
      throw new NightjarError(
        'attribute_invalid',
        `Cannot publish attribute "${key.slice(0, 80)}": a key has 1 to ${maxAttributeKeyBytes} bytes`,
      )
    }
    if (value.length * 3 > 1024 && Buffer.byteLength(value) > maxAttributeValueBytes) {
      throw new NightjarError(
        'attribute_invalid',
        `Cannot publish attribute "${key}": its value has ${Buffer.byteLength(value)} bytes, ` +
          `at most ${maxAttributeValueBytes} are allowed`,
      )
    }
  }
  if (count > maxAttributes) {
    throw new NightjarError(
      'attribute_invalid',
      `Cannot publish a message with ${count} attributes: at most ${maxAttributes} are allowed`,
    )
  }
}

/** Cut a text to what fits into an attribute's value, at a whole character. */
export function attributeValue(text: string): string {
  if (Buffer.byteLength(text) <= maxAttributeValueBytes) return text
  const cut = Buffer.from(text).subarray(0, maxAttributeValueBytes)
  return new TextDecoder().decode(cut).replace(/\uFFFD+$/, '')
}
