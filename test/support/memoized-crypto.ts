import crypto, { KeyObject } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

/**
 * Once loaded, public keys are made, and signatures verified, once in a process: thousands of devices that come across the
 * same files share the answers.
 */

const keyNumbers = new WeakMap<KeyObject, number>()
let keyCount = 0

/** The same text for the same arguments only. */
function nameOf(value: unknown): string {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('latin1')}`
  if (value instanceof KeyObject) {
    const number = keyNumbers.get(value) ?? ++keyCount
    keyNumbers.set(value, number)
    return `key ${number}`
  }
  if (Array.isArray(value)) return value.map(nameOf).join('\n')
  if (typeof value === 'object' && value !== null) return nameOf(Object.entries(value))
  return `${typeof value} ${String(value)}`
}

for (const name of ['createPublicKey', 'verify'] as const) {
  const original = crypto[name]
  const answers = new Map<string, unknown>()
  const memoized = (...args: unknown[]): unknown => {
    const question = nameOf(args)
    if (!answers.has(question)) answers.set(question, Reflect.apply(original, crypto, args))
    return answers.get(question)
  }
  Object.assign(crypto, { [name]: memoized })
}
syncBuiltinESMExports()
