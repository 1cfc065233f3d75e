import type { BrokerSettings } from './wire.ts'

/** What nobody should have to send us. */
export const maxIncomingBytes = 256 * 1024

/** The most that we have in flight, whatever the broker takes. */
export const maxInFlight = 20

/** What login and TLS may take, unless the settings say otherwise. */
export const loginLimitMs = 15_000

/** What mqtt.js is told for one connection. */
export function clientOptions(settings: BrokerSettings, version: 4 | 5) {
  const { clientId, username, password, ca, cert, key, keepaliveS = 30, sessionExpiryS = 0, will } = settings
  // MQTT 3.1.1 knows no properties, and its sessions never expire.
  const isVersion5 = version === 5
  return {
    clientId,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    rejectUnauthorized: true,
    protocolVersion: version,
    clean: !isVersion5 || sessionExpiryS === 0,
    ...(isVersion5
      ? {
          properties: {
            sessionExpiryInterval: sessionExpiryS,
            receiveMaximum: maxInFlight,
            maximumPacketSize: maxIncomingBytes,
          },
        }
      : {}),
    keepalive: keepaliveS,
    // Ours comes first, and knows how far we got.
    connectTimeout: 2 * (settings.limitMs ?? loginLimitMs),
    // Trying again is ours: mqtt.js gives up after one refusal, knows no back-off, and resends what we count as lost.
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    // Else it makes a Buffer for each number of 16 bits, 65,536 of them: 8 MiB.
    writeCache: false,
    ...(will === undefined
      ? {}
      : {
          will: {
            topic: will.topic,
            payload: Buffer.from(will.payload),
            qos: 1 as const,
            retain: true,
            ...(isVersion5 ? { properties: { willDelayInterval: will.delayS } } : {}),
          },
        }),
  }
}
