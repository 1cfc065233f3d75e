import { describe, expect, test } from 'vitest'
import {
  type BenchReport,
  describeReport,
  energyPerFrame,
  jsonReport,
  warningsOf,
} from '../../../../src/cli/bench/report.ts'

const gauges = { tempC: 48.3, throttled: 0, energyJ: 100 }
const quantiles = { p50: 1, p95: 2, p99: 3.456 }
const setting = {
  threads: 1,
  loadMs: 123.4,
  frames: 400,
  seconds: 10,
  cpuS: 6,
  memoryMb: 150.6,
  ms: { preprocess: quantiles, inference: quantiles, decode: quantiles, handover: quantiles, total: quantiles },
  before: gauges,
  after: { tempC: 61, throttled: 0, energyJ: 180 },
}
const report: BenchReport = {
  device: {
    board: 'Raspberry Pi 4 Model B Rev 1.4',
    cpu: { model: 'Cortex-A72', cores: 4, features: [] },
    kernel: 'Linux 6.12.34',
    os: 'Debian GNU/Linux 12 (bookworm)',
    arch: 'arm64',
    sightd: '0.1.0',
    node: '24.21.0',
    ort: '1.30.0',
  },
  model: { name: 'some-model', version: '1' },
  frame: { width: 640, height: 480 },
  settings: [setting, { ...setting, threads: 2, frames: 800 }],
  precisionMs: { int8: 2, float32: 3 },
}
const slowed = { ...gauges, throttled: 0x50004 }

describe('the report of a bench', () => {
  test('is Markdown with a row for each stage and one for each number of threads', () => {
    expect(describeReport(report)).toBe(`sightd 0.1.0 bench: some-model 1, frames of 640x480

- board: Raspberry Pi 4 Model B Rev 1.4
- CPU: 4 × Cortex-A72 (no int8 instructions)
- system: Debian GNU/Linux 12 (bookworm), Linux 6.12.34, arm64
- Node.js 24.21.0, ONNX Runtime 1.30.0
- int8 2.00 ms, float32 3.00 ms for the same small network: int8 is 1.50 times as fast

| threads | ms         |  p50 |  p95 |  p99 |
|--------:|------------|-----:|-----:|-----:|
|       1 | preprocess | 1.00 | 2.00 | 3.46 |
|       1 | inference  | 1.00 | 2.00 | 3.46 |
|       1 | decode     | 1.00 | 2.00 | 3.46 |
|       1 | handover   | 1.00 | 2.00 | 3.46 |
|       1 | total      | 1.00 | 2.00 | 3.46 |
|       2 | preprocess | 1.00 | 2.00 | 3.46 |
|       2 | inference  | 1.00 | 2.00 | 3.46 |
|       2 | decode     | 1.00 | 2.00 | 3.46 |
|       2 | handover   | 1.00 | 2.00 | 3.46 |
|       2 | total      | 1.00 | 2.00 | 3.46 |

| threads |  fps | CPU s per 1,000 frames | memory MB | load ms |      °C | throttled | J per frame |
|--------:|-----:|-----------------------:|----------:|--------:|--------:|----------:|------------:|
|       1 | 40.0 |                   15.0 |       151 |     123 | 48 → 61 |       0x0 |       0.200 |
|       2 | 80.0 |                    7.5 |       151 |     123 | 48 → 61 |       0x0 |       0.100 |
`)
  })

  test('says the same to a program', () => {
    expect(jsonReport(report)).toMatchObject({
      board: 'Raspberry Pi 4 Model B Rev 1.4',
      precision_ms: { int8: 2, float32: 3 },
      warnings: [],
      settings: [
        {
          threads: 1,
          fps: 40,
          cpu_s_per_1000_frames: 15,
          memory_mb: 151,
          ms: { total: { p50: 1, p95: 2, p99: 3.456 } },
          temp_c: { before: 48.3, after: 61 },
          throttled: { before: 0, after: 0 },
          energy_j_per_frame: 0.2,
        },
        { threads: 2, fps: 80 },
      ],
    })
  })

  test('does without what the machine does not tell', () => {
    const nothing = { tempC: null, throttled: null, energyJ: null }
    const untold = {
      ...report,
      device: { ...report.device, board: null, os: null, cpu: { model: null, cores: 1, features: null } },
      settings: [{ ...setting, before: nothing, after: nothing }],
    }
    expect(describeReport(untold)).toContain(
      '|       1 | 40.0 |                   15.0 |       151 |     123 |  – |         – |           – |',
    )
    expect(describeReport(untold)).toContain(
      '- board: not told\n- CPU: 1 × unknown (features unknown)\n- system: unknown,',
    )
  })
})

describe('warnings', () => {
  test.each([
    [2, 3, false],
    [3, 3, true],
    [4, 3, true],
  ])('int8 %d ms and float32 %d ms: %s', (int8, float32, isWarned) => {
    const words = warningsOf({ ...report, precisionMs: { int8, float32 } })
    expect(words.some((text) => text.startsWith('int8 is not faster'))).toBe(isWarned)
  })

  test.each([
    ['before', { before: slowed }],
    ['after', { after: slowed }],
  ])('a board that was slowed down %s is told', (_, change) => {
    const words = warningsOf({ ...report, settings: [setting, { ...setting, ...change }] })
    expect(words).toEqual([expect.stringMatching(/^the firmware slowed the CPU down/)])
    expect(describeReport({ ...report, settings: [{ ...setting, ...change }] })).toContain('- **warning: the firmware')
  })
})

test('energy of a counter that began anew is not known', () => {
  expect(energyPerFrame({ ...setting, after: { ...gauges, energyJ: 5 } })).toBe(null)
})
