import { expect, test } from 'vitest'
import { describeGroup } from '../../../bench/peers/table.ts'

const ours = {
  fps: 40,
  cpuSPer1000: 10,
  cpuByThread: { 'src/main main': 8, 'src/main V8Worker': 2 },
  latencyP50Ms: 20,
  latencyP95Ms: 30,
  pssMb: 120,
  rssMb: 150,
  lagP95Ms: 2,
}
const theirs = {
  fps: 20,
  cpuSPer1000: 15,
  cpuByThread: { 'peers/python main': 15 },
  latencyP50Ms: 30,
  latencyP95Ms: 60,
  pssMb: 240,
  rssMb: 150,
  lagP95Ms: 5,
}

test('every figure of a peer has its ratio to ours beside it, and whoever was skipped says why', () => {
  expect(
    describeGroup({
      title: 'detector',
      bareMs: 15,
      rows: [
        { name: 'sightd', skipped: null, performance: ours },
        { name: 'python', skipped: null, performance: theirs },
        { name: 'node', skipped: 'mosquitto is not installed', performance: null },
      ],
    }),
  ).toBe(`detector; a bare run takes 15.00 ms

| | fps flat out | CPU s / 1,000 frames | latency p50 ms | latency p95 ms | PSS MB | RSS MB | lag p95 ms |
|---|---:|---:|---:|---:|---:|---:|---:|
| sightd | 40.0 | 10.0 | 20.0 | 30.0 | 120 | 150 | 2.0 |
| python | 20.0 (0.50) | 15.0 (1.50) | 30.0 (1.50) | 60.0 (2.00) | 240 (2.00) | 150 (1.00) | 5.0 (2.50) |
| node | skipped: mosquitto is not installed | | | | | | |

sightd, CPU s / 1,000 frames by thread: src/main main 8.00, src/main V8Worker 2.00
python, CPU s / 1,000 frames by thread: peers/python main 15.00
`)
})
