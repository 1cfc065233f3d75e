import type { SourceOptions } from '../core/source-options.ts'
import type { CameraNeed } from '../system/camera-diagnosis.ts'
import { type Finding, ok, problem, warning } from '../system/finding.ts'
import type { TrialReport } from './trial.ts'

/** Judges what doctor tried, as diagnosis.ts judges what it read; pure. */

/** What a frame source works through. `isFile`: its path is a file, not a folder. */
export function needOf(source: SourceOptions['source'], isFile: boolean): CameraNeed {
  switch (source) {
    case 'libcamera':
      return { source, programs: ['camera'], devices: ['video', 'media', 'dma_heap'] }
    case 'v4l2':
      return { source, programs: ['ffmpeg'], devices: ['video'] }
    case 'url':
    case 'file':
      return { source, programs: ['ffmpeg'], devices: [] }
    case 'replay':
      return { source, programs: isFile ? ['ffmpeg'] : [], devices: [] }
    case 'synthetic':
      return { source, programs: [], devices: [] }
  }
}

export function diagnoseModel(dir: string, ortVersion: string, report: TrialReport): Finding {
  const check = 'model'
  const again = `sightd model verify ${dir}`
  if (report.type === 'failed') {
    const advice = /illegal instruction/.test(report.message)
      ? 'Install a release of sightd with another ONNX Runtime; 1.21.0 is known to fail on the Raspberry Pi 4.'
      : `Mend or replace the model, then try again: ${again}`
    return problem(check, report.message, advice)
  }
  const loaded = `ONNX Runtime ${ortVersion} loaded ${dir} in ${report.loadMs.toFixed(0)} ms`
  const wrong = report.golden.flatMap(({ input, problems }) => problems.map((text) => `${input}: ${text}`))
  if (wrong.length > 0)
    return problem(
      check,
      `${loaded}, but says something else than its maker saw: ${wrong.join('; ')}`,
      `Copy the model again; if that doesn't help, take another for this CPU. To try: ${again}`,
    )
  if (report.golden.length === 0)
    return warning(
      check,
      `${loaded}; it has no golden samples, so nothing is known of its results`,
      'Add golden samples.',
    )
  const ms = report.golden.map((sample) => sample.ms.toFixed(0)).join(', ')
  return ok(check, `${loaded}; golden samples came out as expected (${report.golden.length}, ${ms} ms on one thread)`)
}
