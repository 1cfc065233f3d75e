/** Every topic of one device. */
export type Topics = ReturnType<typeof deviceTopics>

/** The client id at the broker, which is also the name of the session there. */
export function clientIdOf(id: string): string {
  return `sightd-${id}`
}

/** Says to every device that the repository of models has changed. */
export function updateHintTopic(baseTopic: string): string {
  return `${baseTopic}/update/hint`
}

export function deviceTopics(baseTopic: string, id: string) {
  const own = `${baseTopic}/${id}`
  return {
    status: `${own}/status`,
    info: `${own}/info`,
    state: `${own}/state`,
    current: `${own}/current`,
    update: `${own}/update`,
    updateEvent: `${own}/update/event`,
    result: `${own}/result`,
    event: `${own}/event`,
    metrics: `${own}/metrics`,
    crash: `${own}/crash`,
    snapshot: `${own}/snapshot`,
    eventSnapshot: `${own}/event/snapshot`,
    /** `<request><command>` is answered on `<response><command>`; `<allRequest><command>` speaks to every device. */
    request: `${own}/request/`,
    response: `${own}/response/`,
    allRequest: `${baseTopic}/all/request/`,
    updateHint: updateHintTopic(baseTopic),
    /** What is ours to publish; and `<own><property>/set` is taken. */
    own: `${own}/`,
  }
}
