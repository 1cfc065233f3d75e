import type { IncomingMessage } from '../../mqtt/wire.ts'
import { printable, printableJson } from '../text.ts'
import { WatchedDevices } from './devices.ts'
import { changeLines } from './lines.ts'
import { type Heard, readMessage } from './messages.ts'
import { describePicture } from './picture.ts'
import { WatchScreen } from './screen.ts'

/** Where what is heard goes. */
export type View = Disposable & {
  take(message: IncomingMessage): void
  /** What is wrong with the broker, in words; undefined when nothing is any more. */
  tellTrouble(words: string | undefined): void
}

export type ViewOptions = { readonly baseTopic: string; readonly url: string }

/** Often enough for a person. */
const drawMs = 250

/** Topics whose messages are not understood are named once, up to so many. */
const maxNamed = 100

/** A table and the newest events, drawn anew in place. */
export function screenView({ baseTopic, url }: ViewOptions): View {
  const devices = new WatchedDevices()
  const screen = new WatchScreen(process.stdout)
  let trouble: string | undefined = 'connecting …'
  let notUnderstood = 0
  const draw = () => {
    const title = [
      `${printable(baseTopic)} at ${printable(url)}`,
      ...(notUnderstood === 0 ? [] : [`not understood: ${notUnderstood}`]),
      ...(devices.leftOut === 0 ? [] : [`of too many devices: ${devices.leftOut}`]),
    ].join(', ')
    const picture = { title, trouble, devices: devices.devices, events: devices.events, nowMs: Date.now() }
    screen.draw(describePicture(picture, screen.width, screen.height))
  }
  draw()
  const timer = setInterval(draw, drawMs)
  return {
    take: ({ topic, payload, isRetained }) => {
      const heard = readMessage(topic, payload, baseTopic)
      if ('problem' in heard) notUnderstood++
      else devices.take(heard, isRetained, Date.now())
    },
    tellTrouble: (words) => {
      trouble = words
    },
    [Symbol.dispose]() {
      clearInterval(timer)
      draw()
      screen[Symbol.dispose]()
    },
  }
}

/** A line for each change. */
export function lineView({ baseTopic, url }: ViewOptions): View {
  const linesFor = changeLines(new WatchedDevices())
  return writtenView(baseTopic, url, (heard, { isRetained }) => linesFor(heard, isRetained, Date.now()))
}

/** A JSON object for each message, as it was sent. */
export function jsonView({ baseTopic, url }: ViewOptions): View {
  return writtenView(baseTopic, url, ({ id, json }, { topic, isRetained }) => {
    const [device, on, ts] = [id, topic, new Date()].map((value) => JSON.stringify(value))
    const line = `{"device":${device},"topic":${on},"payload":${json},"retained":${isRetained},"ts":${ts}}`
    return [`${printableJson(line)}\n`]
  })
}

/** What is heard goes to stdout, what is wrong to stderr. */
function writtenView(
  baseTopic: string,
  url: string,
  linesFor: (heard: Exclude<Heard, { problem: string }>, message: IncomingMessage) => readonly string[],
): View {
  let told: string | undefined = ''
  const named = new Set<string>()
  const complain = (text: string) => process.stderr.write(`sightd: ${printable(text)}\n`)
  return {
    take: (message) => {
      const { topic, payload } = message
      const heard = readMessage(topic, payload, baseTopic)
      if (!('problem' in heard)) {
        for (const line of linesFor(heard, message)) process.stdout.write(line)
      } else if (!named.has(topic) && named.size < maxNamed) {
        named.add(topic)
        complain(`${topic} is not understood: ${heard.problem}`)
      }
    },
    tellTrouble: (words) => {
      if (words === told) return
      told = words
      complain(words ?? `watching ${baseTopic} at ${url}`)
    },
    [Symbol.dispose]() {},
  }
}
