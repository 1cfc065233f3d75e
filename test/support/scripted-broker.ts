import { createServer, type Socket } from 'node:net'
import { listen } from './strict-broker.ts'

/** A message that came with QoS 1; the test says when it is acknowledged, if it ever is. */
export type Held = {
  /** Counted from 1. */
  readonly connection: number
  readonly topic: string
  readonly text: string
  /** PUBACK, with a reason code of MQTT 5. */
  ack(reasonCode?: number): void
}

/** Control packets (MQTT 5.0 section 2.1.2), in the high half of the first byte. */
const [connect, publish, subscribe, pingreq] = [1, 3, 8, 12]

/** A broker (MQTT 5) that grants each login and subscription and answers pings, but acknowledges only what it is told to. */
export async function startScriptedBroker(acks: (message: Held) => boolean) {
  const received: Held[] = []
  const waiting = new Set<() => void>()
  const counts = { connections: 0, pings: 0 }
  let newest: Socket | undefined
  const server = createServer((socket) => {
    const connection = ++counts.connections
    newest = socket
    let rest: Buffer = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk])
      for (let packet = readPacket(rest); packet !== undefined; packet = readPacket(rest)) {
        rest = packet.rest
        take(connection, socket, packet)
      }
    })
  })
  function take(connection: number, socket: Socket, { type, flags, body }: Packet): void {
    if (type === connect) socket.write(Buffer.from([0x20, 3, 0, 0, 0]))
    if (type === pingreq) {
      counts.pings++
      socket.write(Buffer.from([0xd0, 0]))
    }
    if (type === subscribe) {
      const granted = filtersIn(skipProperties(body.subarray(2))).map(() => 1)
      socket.write(Buffer.from([0x90, 3 + granted.length, ...body.subarray(0, 2), 0, ...granted]))
    }
    if (type !== publish || (flags & 0b110) === 0) return
    const end = 2 + body.readUInt16BE(0)
    const message = {
      connection,
      topic: body.toString('utf8', 2, end),
      text: skipProperties(body.subarray(end + 2)).toString(),
      ack: (reasonCode = 0) => {
        socket.write(Buffer.from([0x40, 3, ...body.subarray(end, end + 2), reasonCode]))
      },
    }
    received.push(message)
    if (acks(message)) message.ack()
    for (const wake of [...waiting]) wake()
  }
  const port = await listen(server)
  return {
    url: `mqtt://127.0.0.1:${port}`,
    received,
    counts,
    /** Ends the newest connection, behind all that was written to it. */
    end: () => newest?.end(),
    /** The first message that fits. */
    async message(fits: (message: Held) => boolean): Promise<Held> {
      for (;;) {
        const found = received.find(fits)
        if (found !== undefined) return found
        await new Promise<void>((resolve) => {
          const wake = () => {
            waiting.delete(wake)
            resolve()
          }
          waiting.add(wake)
        })
      }
    },
  }
}

type Packet = { readonly type: number; readonly flags: number; readonly body: Buffer; readonly rest: Buffer }

/** The first packet; undefined while it is not there to its end. */
function readPacket(bytes: Buffer): Packet | undefined {
  const length = readLength(bytes.subarray(1))
  if (length === undefined) return undefined
  const end = 1 + length.size + length.value
  if (bytes.length < end) return undefined
  const first = bytes.readUInt8(0)
  return { type: first >> 4, flags: first & 15, body: bytes.subarray(1 + length.size, end), rest: bytes.subarray(end) }
}

/** A variable byte integer (MQTT 5.0 section 1.5.5) and the bytes that it takes. */
function readLength(bytes: Buffer): { readonly value: number; readonly size: number } | undefined {
  let value = 0
  for (const [at, byte] of bytes.subarray(0, 4).entries()) {
    value += (byte & 127) * 128 ** at
    if (byte < 128) return { value, size: at + 1 }
  }
  return undefined
}

function skipProperties(bytes: Buffer): Buffer {
  const { value, size } = readLength(bytes) ?? { value: 0, size: 0 }
  return bytes.subarray(size + value)
}

/** The topic filters of a SUBSCRIBE, each of which has a byte of options behind it. */
function filtersIn(bytes: Buffer): string[] {
  const filters: string[] = []
  for (let at = 0; at + 2 <= bytes.length; ) {
    const end = at + 2 + bytes.readUInt16BE(at)
    filters.push(bytes.toString('utf8', at + 2, end))
    at = end + 1
  }
  return filters
}
