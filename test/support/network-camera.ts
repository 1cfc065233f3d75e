import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { demoPhotos } from './vision.ts'

/** What ffmpeg takes a stream of single pictures to have. */
const framesPerSecond = 25

/** A network camera (MJPEG over HTTP) that shows a cat to the user `me` with the password `s3cr3t/@`. */
export async function startGuardedCamera(): Promise<{ url: string }> {
  const photo = await readFile(join(demoPhotos, '1-chelsea.jpg'))
  const head = `--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${photo.length}\r\n\r\n`
  const part = Buffer.concat([Buffer.from(head), photo, Buffer.from('\r\n')])
  const expected = `Basic ${Buffer.from('me:s3cr3t/@').toString('base64')}`
  const server = createServer((request, response) => {
    if (request.headers.authorization !== expected) {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="camera"' }).end()
      return
    }
    response.writeHead(200, { 'Content-Type': 'multipart/x-mixed-replace; boundary=frame' })
    const timer = setInterval(() => response.write(part), 1000 / framesPerSecond)
    response.once('close', () => clearInterval(timer))
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  const address = server.address()
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/live` }
}
