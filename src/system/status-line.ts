import type { Metrics } from '../core/metrics.ts'

/** How it goes, in one line for a terminal. */
export function statusLine({ status }: { readonly status: string }, broker: string, metrics: Metrics): string {
  const { fps, inference_ms_p50: inferenceMs, control_rss_mb, vision_rss_mb } = metrics
  return [
    status,
    `${fps.toFixed(1)} fps`,
    `inference ${inferenceMs?.toFixed(1) ?? '–'} ms`,
    `frames ${metrics.frames_captured_total}, dropped ${metrics.frames_dropped_total}`,
    broker,
    `${control_rss_mb + (vision_rss_mb ?? 0)} MB`,
  ].join(' · ')
}
