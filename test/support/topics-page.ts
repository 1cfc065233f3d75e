import { readFileSync } from 'node:fs'

/** docs/mqtt-topics.md, taken apart for the tests that hold it against what is true. */

const text = readFileSync(new URL('../../docs/mqtt-topics.md', import.meta.url), 'utf8')

/** The text between a heading, such as `## event`, and the next of its level or above. */
export function section(heading: string): string {
  const level = heading.indexOf(' ')
  const [, rest] = text.split(`\n${heading}\n`)
  if (rest === undefined) throw new Error(`docs/mqtt-topics.md has no heading ${heading}`)
  return rest.split(new RegExp(`^#{1,${level}} `, 'm'))[0] ?? ''
}

/** The blocks of code of one kind, such as `json`. */
export function blocks(kind: string, within = text): string[] {
  return [...within.matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, block]) => block ?? '')
}

/** The messages of `mqtt` blocks: a topic and what is published there, which may go on in lines that are indented. */
export function messages(within = text): { readonly topic: string; readonly payload: string }[] {
  return blocks('mqtt', within).flatMap((block) =>
    block
      .trimEnd()
      .split(/\n(?! )/)
      .map((line) => {
        const [topic = ''] = line.split(' ', 1)
        return { topic, payload: line.slice(topic.length).replaceAll('\n', '').trim() }
      }),
  )
}
