import type { VisionModel, VisionReport } from '../core/vision-protocol.ts'
import type { PipelineLog } from './pipeline-options.ts'

/** Says in the log what the vision process reports, as far as a person cares. */
export function logReport(report: VisionReport, log: PipelineLog): void {
  switch (report.type) {
    case 'ready':
      log.info({ ...nameOf(report.model), loadMs: Math.round(report.loadMs) }, 'model loaded')
      break
    case 'camera': {
      const { state, reason, advice } = report
      if (reason === null) log.info({ state }, 'camera')
      else log.warn({ state, reason, advice }, 'camera trouble, trying again')
      break
    }
    case 'candidate':
      if (report.state === 'failed') log.warn({ reason: report.message }, 'the candidate has failed and is gone')
      else log.info({ ...nameOf(report.model), loadMs: Math.round(report.loadMs) }, 'candidate loaded')
      break
    case 'swapped':
      log.info(nameOf(report.model), 'another model is in charge')
      break
  }
}

function nameOf({ name, version }: VisionModel) {
  return { name, version }
}
