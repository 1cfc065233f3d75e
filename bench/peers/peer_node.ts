import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import * as ort from 'onnxruntime-node'
import sharp from 'sharp'
import * as v from 'valibot'
import { modelManifestSchema } from '../../src/core/model-manifest.ts'
import { createDecoder } from '../../src/vision/decode.ts'

/**
 * The detector in Node as one would write it first: frames from the FIFO, colours in a loop, sharp to resize, ONNX Runtime,
 * everything on the main thread. Decoding is sightd's own, which does it no harm. `--model` is a model folder of sightd.
 */

const text = { type: 'string' } as const
const { values } = parseArgs({
  options: { frames: text, width: text, height: text, model: text, threads: text, port: text, topic: text },
})
const { frames: fifo = '', model: folder = '', topic = '' } = values
const [width, height] = [Number(values.width), Number(values.height)]

const manifest = v.parse(modelManifestSchema, JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')))
const session = await ort.InferenceSession.create(join(folder, manifest.model), {
  intraOpNumThreads: Number(values.threads),
  interOpNumThreads: 1,
})
const decode = createDecoder(manifest)
const [, inputHeight = 0, inputWidth = 0] = manifest.input.shape
sharp.concurrency(Number(values.threads))

const client = await connectAsync(`mqtt://127.0.0.1:${values.port}`, { protocolVersion: 5 })
client.on('message', (_, payload) => client.publish(`${topic}/response/ping`, payload))
await client.subscribeAsync(`${topic}/request/ping`)

const frameBytes = (width * height * 3) / 2
let number = 0
let pending = Buffer.alloc(0)
for await (const chunk of createReadStream(fifo)) {
  pending = Buffer.concat([pending, chunk])
  while (pending.length >= frameBytes) {
    const found = await detect(toRgb(pending.subarray(0, frameBytes)))
    pending = pending.subarray(frameBytes)
    client.publish(`${topic}/result`, JSON.stringify({ frame: { id: number++ }, found }))
  }
}

async function detect(rgb: Uint8Array) {
  const pixels = await sharp(rgb, { raw: { width, height, channels: 3 } })
    .resize(inputWidth, inputHeight, { fit: 'fill', kernel: 'linear' })
    .raw()
    .toBuffer()
  const outputs = await session.run({
    [manifest.input.name]: new ort.Tensor('uint8', pixels, manifest.input.shape),
  })
  const raw = Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array] as const)
  return decode(Object.fromEntries(raw), manifest.threshold)
}

/** Full-range BT.601. */
function toRgb(i420: Uint8Array): Uint8Array {
  const rgb = new Uint8ClampedArray(width * height * 3)
  const us = width * height
  const vs = us + us / 4
  for (let y = 0, out = 0; y < height; y++) {
    for (let x = 0; x < width; x++, out += 3) {
      const chroma = (y >> 1) * (width >> 1) + (x >> 1)
      const luma = i420[y * width + x] ?? 0
      const u = (i420[us + chroma] ?? 0) - 128
      const v = (i420[vs + chroma] ?? 0) - 128
      rgb[out] = luma + 1.402 * v
      rgb[out + 1] = luma - 0.344136 * u - 0.714136 * v
      rgb[out + 2] = luma + 1.772 * u
    }
  }
  return new Uint8Array(rgb.buffer)
}
