-- The health of an ImageClassifier: Healthy when the version in the spec is fully rolled out, Degraded when waiting does
-- not help, Suspended while somebody has paused or stopped it.
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready, stalled = conditions["Ready"], conditions["Stalled"]
if ready == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "The operator has not observed this spec yet." }
end
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.message }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
if ready.reason == "Paused" or ready.reason == "Stopped" then
  return { status = "Suspended", message = ready.message }
end
return { status = "Progressing", message = ready.message }
