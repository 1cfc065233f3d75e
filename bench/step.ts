import { parseArgs } from 'node:util'
import { frameBytes } from '../src/core/frame.ts'
import { bundledModel } from '../src/daemon.ts'
import { createDecoder } from '../src/vision/decode.ts'
import { createInputTensor } from '../src/vision/input-tensor.ts'
import { type ModelFolder, readGoldenInput, readModelFolder } from '../src/vision/model-folder.ts'
import { createPreprocessor } from '../src/vision/preprocess.ts'
import { ModelSession } from '../src/vision/session.ts'
import { createPlainPreprocessor } from '../test/support/plain-preprocess.ts'

/**
 * One step of the hot path with the bundled model, over and over, and nothing else: how many instructions it takes. How long it
 * takes is measured by `npm run bench`.
 */

const help = `Usage: bin/node bench/step.ts --only kernel|plain|decode [--frames N]

For a profiler that counts instructions, and for --trace-gc; docs/performance.md has the commands.

  --only      kernel: a frame of 640x480 to the input; plain: the same in plain TypeScript; decode: outputs to finds
  --frames N  how many (300)`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    frames: { type: 'string', default: '300' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const steps = new Map<string, (folder: ModelFolder) => (() => void) | Promise<() => void>>([
  ['kernel', (folder) => preprocess(folder, createPreprocessor)],
  ['plain', (folder) => preprocess(folder, createPlainPreprocessor)],
  ['decode', decode],
])
const prepare = steps.get(values.only ?? '')
if (values.help || prepare === undefined) {
  process.stdout.write(`${help}\n`)
  process.exitCode = values.help ? 0 : 2
} else {
  const step = await prepare(await readModelFolder(bundledModel))
  for (let count = 0; count < Number(values.frames); count++) step()
}

function preprocess({ manifest: { input } }: ModelFolder, create: typeof createPreprocessor): () => void {
  const geometry = { width: 640, height: 480, stride: 640 }
  const { write } = create(geometry, input)
  const frame = new Uint8Array(frameBytes(geometry))
  const tensor = createInputTensor(input)
  return () => write(frame, tensor)
}

/** Of what the model says of its first golden sample. */
async function decode(folder: ModelFolder): Promise<() => void> {
  const { dir, manifest } = folder
  const [sample] = manifest.golden
  if (sample === undefined) throw new Error('the model has no golden sample')
  await using session = await ModelSession.open(folder, { threads: 1 })
  const { input } = session
  const raw = await readGoldenInput(dir, manifest, sample, input.byteLength)
  new Uint8Array(input.buffer, input.byteOffset, input.byteLength).set(raw)
  const outputs = structuredClone(await session.run())
  const decoder = createDecoder(manifest)
  return () => decoder(outputs, manifest.threshold)
}
