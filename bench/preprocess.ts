import { parseArgs } from 'node:util'
import { frameBytes } from '../src/core/frame.ts'
import { bundledModel } from '../src/daemon.ts'
import { createInputTensor } from '../src/vision/input-tensor.ts'
import { readModelFolder } from '../src/vision/model-folder.ts'
import { createPreprocessor } from '../src/vision/preprocess.ts'
import { createPlainPreprocessor } from '../test/support/plain-preprocess.ts'

/**
 * One of the two that make the bundled model's input out of a frame of 640x480, and nothing else: no network, whose threads
 * would count too. How long they take is measured by `npm run bench -- preprocess`.
 */

const help = `Usage: bin/node bench/preprocess.ts --only kernel|plain [--frames N]

For a profiler that counts instructions, and for --trace-gc; docs/performance.md has the commands.

  --only      the kernel, or the same in plain TypeScript
  --frames N  how many (300)`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    frames: { type: 'string', default: '300' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const creators = new Map([
  ['kernel', createPreprocessor],
  ['plain', createPlainPreprocessor],
])
const create = creators.get(values.only ?? '')
if (values.help || create === undefined) {
  process.stdout.write(`${help}\n`)
  process.exitCode = values.help ? 0 : 2
} else {
  const { input } = (await readModelFolder(bundledModel)).manifest
  const geometry = { width: 640, height: 480, stride: 640 }
  const { write } = create(geometry, input)
  const frame = new Uint8Array(frameBytes(geometry))
  const tensor = createInputTensor(input)
  for (let count = 0; count < Number(values.frames); count++) write(frame, tensor)
}
