import { isIP } from 'node:net'
import { connect } from 'node:tls'

/**
 * When the certificate ends that a TLS server shows, trusted or not; null when none is shown within `limitMs`. Nothing is
 * sent but the handshake.
 */
export async function certificateEndMs(url: string, limitMs: number): Promise<number | null> {
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const { promise, resolve } = Promise.withResolvers<number | null>()
  const socket = connect({
    host,
    port: Number(port) || (protocol === 'wss:' ? 443 : 8883),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    rejectUnauthorized: false,
  })
  socket.once('secureConnect', () => resolve(Date.parse(socket.getPeerCertificate().valid_to) || null))
  socket.on('error', () => resolve(null))
  socket.once('close', () => resolve(null))
  const timer = setTimeout(() => resolve(null), limitMs)
  const endMs = await promise
  clearTimeout(timer)
  socket.destroy()
  return endMs
}
