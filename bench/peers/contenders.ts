import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundledModel } from '../../src/daemon.ts'
import { packageRoot } from '../../src/lib/package.ts'
import { freePort } from '../support/mosquitto.ts'
import { startSightd } from '../support/sightd.ts'
import { frame, type Stage, topic } from './stage.ts'

/** Made from the .tflite file by models/build/import.sh. */
export const classifier = join(packageRoot, 'models/build/.cache/imported/mobilenet-v2-224/1')
const tflite = join(packageRoot, '../shared/data/models/mobilenet_v2_1.0_224_quant.tflite')
const here = fileURLToPath(new URL('.', import.meta.url))
const python = join(here, '.cache/venv/bin/python')

/** A program on the stage. */
export type Performer = AsyncDisposable & {
  readonly pid: number
  /** Rejects with what it said when it ends by itself. */
  readonly ended: Promise<never>
  /** Frames that have gone through the model, where not each of them is told. */
  readonly inferred?: () => Promise<number>
}

export type Contender = {
  readonly name: string
  /** Why it can't be had; undefined when it can. */
  readonly lacks: () => string | undefined
  readonly start: (stage: Stage, threads: number) => Promise<Performer>
}

export type Group = {
  readonly title: string
  /** The model folder of sightd; the yardstick. */
  readonly model: string
  /** Ours first. */
  readonly contenders: readonly Contender[]
}

const lacksClassifier = () =>
  existsSync(classifier) && existsSync(tflite)
    ? undefined
    : 'the classifier is missing (bench/peers/install.sh makes it of ../shared/data)'
const lacksPython = () => (existsSync(python) ? undefined : 'its Python packages are missing (bench/peers/install.sh)')

export const groups: readonly Group[] = [
  {
    title: 'detector: ssdlite-mobilenet-v2-coco, the bundled model',
    model: bundledModel,
    contenders: [
      sightd(bundledModel, () => undefined),
      peer('python onnxruntime', lacksPython, [python, join(here, 'peer_onnxruntime.py'), '--model', bundledModel]),
      peer('node sharp', () => undefined, [process.execPath, join(here, 'peer_node.ts'), '--model', bundledModel]),
    ],
  },
  {
    title: 'classifier: mobilenet_v2_1.0_224_quant, as .tflite and converted to ONNX',
    model: classifier,
    contenders: [
      sightd(classifier, lacksClassifier),
      peer('python litert', () => lacksClassifier() ?? lacksPython(), [
        python,
        join(here, 'peer_litert.py'),
        '--model',
        tflite,
      ]),
    ],
  },
]

/** The whole daemon; frames come from what it takes for rpicam-vid. */
function sightd(model: string, lacks: Contender['lacks']): Contender {
  return {
    name: 'sightd',
    lacks,
    async start(stage, threads) {
      const web = await freePort()
      const running = startSightd(
        {
          // With its mode given, no list of cameras is asked for.
          camera: {
            source: 'libcamera',
            mode: '640:480:10:P',
            width: frame.width,
            height: frame.height,
            fps: frame.rate,
          },
          model: { path: model },
          inference: { threads },
          // The others look at every frame.
          motion: { gate: 'off' },
          mqtt: { url: `mqtt://127.0.0.1:${stage.port}`, result_rate: 120 },
          web: { port: web },
        },
        { env: { PATH: `${stage.bin}:${process.env['PATH']}` } },
      )
      return {
        pid: running.control,
        ended: running.ended,
        async inferred() {
          const page = await (await fetch(`http://127.0.0.1:${web}/metrics`)).text()
          return Number(/^sightd_frames_inferred_total(?:\{.*\})? (\d+)/m.exec(page)?.[1])
        },
        [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
      }
    },
  }
}

/** A program that reads the FIFO; `command` ends in what is its own. */
function peer(name: string, lacks: Contender['lacks'], [program = '', ...args]: readonly string[]): Contender {
  return {
    name,
    lacks,
    async start({ camera: [node = '', ...camera], fifo, port }, threads) {
      const settings = { frames: fifo, width: frame.width, height: frame.height, threads, port, topic }
      const options = Object.entries(settings).flatMap(([option, value]) => [`--${option}`, String(value)])
      const child = spawn(program, [...args, ...options], { stdio: ['ignore', 'ignore', 'pipe'] })
      const source = spawn(node, [...camera, '--output', fifo], { stdio: 'inherit' })
      let said = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-4000)
      })
      const closed = once(child, 'close')
      const ended = closed.then(([code]): never => {
        throw new Error(`${name} ended with exit code ${code}:\n${said}`)
      })
      ended.catch(() => {})
      const sourceClosed = once(source, 'close')
      return {
        pid: child.pid ?? 0,
        ended,
        async [Symbol.asyncDispose]() {
          source.kill('SIGKILL')
          child.kill('SIGKILL')
          await Promise.all([closed, sourceClosed])
        },
      }
    },
  }
}
