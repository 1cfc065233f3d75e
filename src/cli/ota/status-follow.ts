import { exitCodes } from '../../core/errors.ts'
import type { IncomingMessage } from '../../mqtt/wire.ts'
import { type ChosenBroker, describeTrouble, passingSession } from '../broker.ts'
import { printable } from '../text.ts'
import { keepWatching } from '../watch/connection.ts'
import { WatchScreen } from '../watch/screen.ts'
import { printJson, printLines } from './bench.ts'
import { Fleet, fleetFilters, observerId } from './fleet.ts'
import { complaintsOf, describeDevice, describeFleet, deviceJson } from './fleet-table.ts'

type Wanted = { readonly group: string | undefined; readonly json: boolean }

type View = Disposable & {
  take(message: IncomingMessage): void
  /** What is wrong with the broker, in words; undefined when nothing is any more. */
  tellTrouble(words: string | undefined): void
}

/** Often enough for a person. */
const drawMs = 250

/** `sightd ota status --follow`: the same, until Ctrl-C: a table on a terminal, elsewhere a line for each change. */
export async function followFleet(broker: ChosenBroker, wanted: Wanted, signal: AbortSignal): Promise<number> {
  const { url, baseTopic } = broker
  const gone = new AbortController()
  // Whoever read us (`| head`) may have had enough.
  process.stdout.on('error', () => gone.abort())
  using view = wanted.json || !process.stdout.isTTY ? lineView(baseTopic, wanted) : screenView(broker, wanted)
  await keepWatching(
    {
      settings: passingSession(broker, observerId()),
      filters: fleetFilters(baseTopic),
      onMessage: (message) => view.take(message),
      onConnected: (refused) =>
        view.tellTrouble(
          refused.length === 0 ? undefined : `the broker lets us not subscribe to ${refused.join(', ')}`,
        ),
      onTrouble: (error) => view.tellTrouble(`${describeTrouble(error, url)}; trying again`),
    },
    AbortSignal.any([signal, gone.signal]),
  )
  return exitCodes.ok
}

function screenView({ baseTopic, url }: ChosenBroker, { group }: Wanted): View {
  const fleet = new Fleet(baseTopic)
  const screen = new WatchScreen(process.stdout)
  let trouble: string | undefined = 'connecting …'
  const draw = () => {
    const notes = [...(trouble === undefined ? [] : [trouble]), ...complaintsOf(fleet, [])]
    const lines = [
      ...notes.map((text) => ({ text: printable(`${url}: ${text}`), tone: 'warn' as const })),
      ...describeFleet(fleet.devices(group)),
    ]
    const room = Math.max(1, screen.height - 1)
    const hidden = { text: `… ${lines.length - room} more lines`, tone: 'faint' as const }
    screen.draw(lines.length > screen.height ? [...lines.slice(0, room), hidden] : lines)
  }
  draw()
  const timer = setInterval(draw, drawMs)
  return {
    take: (message) => void fleet.take(message),
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

function lineView(baseTopic: string, { group, json }: Wanted): View {
  const fleet = new Fleet(baseTopic)
  const told = new Map<string, string>()
  let toldTrouble: string | undefined
  return {
    take: (message) => {
      const device = fleet.take(message)
      if (device === undefined || (group !== undefined && device.update?.group !== group)) return
      const line = json ? JSON.stringify(deviceJson(device)) : describeDevice(device)
      if (line === told.get(device.id)) return
      told.set(device.id, line)
      if (json) printJson(deviceJson(device))
      else printLines([`${new Date().toISOString()} ${line}`])
    },
    tellTrouble: (words) => {
      if (words !== undefined && words !== toldTrouble) process.stderr.write(`sightd: ${printable(words)}\n`)
      toldTrouble = words
    },
    [Symbol.dispose]() {},
  }
}
