import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ModelInput } from '../core/model-manifest.ts'
import { packageRoot } from '../lib/package.ts'
import { bytesPerElement, levelTables, type TensorData, tensorView } from './input-tensor.ts'
import { type Resampling, samplesOf } from './resampling.ts'

/** What @types/node lacks of WebAssembly's interface, as far as it is needed here. */
declare namespace WebAssembly {
  class Memory {
    constructor(limits: { initial: number; maximum: number })
    readonly buffer: ArrayBuffer
  }
  class Module {
    constructor(bytes: Uint8Array)
  }
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, number | Memory>>)
    readonly exports: Record<string, unknown>
  }
}

/** kernels/preprocess.ts with its memory, for frames of one geometry and one model. */
export type RowKernel = {
  /** Its memory. It never grows: views of it stay valid. */
  readonly memory: Uint8Array
  /** Where in it source rows go: luma rows of `stride` bytes, chroma rows of half as many. */
  readonly sourceAt: { readonly luma: number; readonly u: number; readonly v: number }
  /** Makes a row of the tensor out of the source rows at these addresses and those below, of which the weights (0..256) are. */
  makeRow: MakeRow
  /** Of the row that was made last, without letterbox bars: whole pixels (NHWC), or one array for each channel (NCHW). */
  readonly values: readonly TensorData[]
}

type MakeRow = (luma: number, lumaWeight: number, u: number, v: number, chromaWeight: number) => void

type RowKernelOptions = {
  readonly input: ModelInput
  readonly plan: Resampling
  readonly stride: number
  /** How many source rows its memory has to hold. */
  readonly lumaRows: number
  readonly chromaRows: number
}

const pageBytes = 64 * 1024

/** Bytes of what the kernel knows of four columns. */
const tapBytes = 80

/**
 * Compiles and instantiates it, about 1 ms. V8 reserves 8 GiB of addresses for the memory of each (none of it counts as data, see
 * pipeline/confined-process.ts), and gives them back when the garbage collector finds it unused.
 */
export function openRowKernel({ input, plan, stride, lumaRows, chromaRows }: RowKernelOptions): RowKernel {
  const columns = plan.columns.to - plan.columns.from
  const luma = samplesOf(plan.luma.x, plan.columns)
  const chroma = samplesOf(plan.chroma.x, plan.columns)
  const lumaCount = luma.to - luma.from
  const chromaCount = chroma.to - chroma.from
  // It makes four columns at a time.
  const plane = roundUp(columns, 4)
  const valueBytes = input.type === 'uint8' ? 0 : bytesPerElement(input.type)

  let end = 0
  // It takes 16 bytes at a time, and goes past the end of what is no multiple of that.
  const place = (bytes: number) => {
    const at = end
    end += roundUp(bytes, 16) + 16
    return at
  }
  const sourceAt = {
    luma: place(lumaRows * stride),
    u: place(chromaRows * (stride / 2)),
    v: place(chromaRows * (stride / 2)),
  }
  const plot = {
    stride,
    lumaFirst: luma.from,
    lumaCount,
    chromaFirst: chroma.from,
    chromaCount,
    lumaAt: place(roundUp(lumaCount, 16) * 2),
    chromaAt: place(roundUp(chromaCount, 16) * 4),
    tapsAt: place((plane / 4) * tapBytes),
    columns,
    isBgr: Number(input.colour === 'BGR'),
    isPlanar: Number(input.layout === 'NCHW'),
    levelsAt: place(plane * 3),
    plane,
    tablesAt: place(3 * 256 * valueBytes),
    valuesAt: place(3 * plane * valueBytes),
    valueBytes,
  }
  const pages = Math.ceil(end / pageBytes)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
  const { buffer } = memory
  writeTaps(new DataView(buffer, plot.tapsAt), plan, luma.from, chroma.from)
  for (const [i, table] of valueBytes > 0 ? levelTables(input).entries() : []) {
    tensorView(input.type, buffer, plot.tablesAt + i * table.byteLength, table.length).set(table)
  }

  const module = new WebAssembly.Module(readFileSync(join(packageRoot, 'kernels/preprocess.wasm')))
  const { makeRow } = new WebAssembly.Instance(module, { preprocess: plot, env: { memory } }).exports
  if (!isMakeRow(makeRow)) throw new Error('kernels/preprocess.wasm does not export makeRow')
  const at = valueBytes > 0 ? plot.valuesAt : plot.levelsAt
  const values =
    input.layout === 'NHWC'
      ? [tensorView(input.type, buffer, at, columns * 3)]
      : [0, 1, 2].map((i) => tensorView(input.type, buffer, at + i * plane * bytesPerElement(input.type), columns))
  return { memory: new Uint8Array(buffer), sourceAt, makeRow, values }
}

/** For each four columns the neighbours' byte offsets in the blended rows, and their weights; the last columns are repeated. */
function writeTaps(to: DataView, { luma, chroma, columns }: Resampling, lumaFirst: number, chromaFirst: number): void {
  for (let i = 0; i < roundUp(columns.to - columns.from, 4); i++) {
    const column = Math.min(columns.from + i, columns.to - 1)
    const group = Math.floor(i / 4) * tapBytes
    const lane = i % 4
    const lumaWeight = luma.x.weight[column] ?? 0
    const chromaWeight = chroma.x.weight[column] ?? 0
    to.setUint32(group + lane * 4, ((luma.x.first[column] ?? 0) - lumaFirst) * 2, true)
    to.setUint32(group + 16 + lane * 4, ((chroma.x.first[column] ?? 0) - chromaFirst) * 4, true)
    to.setInt16(group + 32 + lane * 4, 256 - lumaWeight, true)
    to.setInt16(group + 34 + lane * 4, lumaWeight, true)
    for (const plane of [0, 4]) {
      to.setInt16(group + 48 + lane * 8 + plane, 256 - chromaWeight, true)
      to.setInt16(group + 50 + lane * 8 + plane, chromaWeight, true)
    }
  }
}

function isMakeRow(value: unknown): value is MakeRow {
  return typeof value === 'function'
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}
