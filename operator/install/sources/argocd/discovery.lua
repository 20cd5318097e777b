-- The actions on an ImageClassifier. One that would change nothing is disabled.
local status = obj.status or {}
local wanted, serving = obj.spec.model.version, status.servingVersion
local paused = (obj.spec.rollout or {}).paused == true

local waits = (status.analysis or {}).outcome == "Inconclusive"
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Progressing" and condition.reason == "Paused" then
    waits = true
  end
end

local failed = false
for _, version in ipairs(status.failedVersions or {}) do
  failed = failed or version.version == wanted
end

local earlier = serving ~= nil and serving ~= wanted
for _, rollout in ipairs(status.history or {}) do
  local served = rollout.verdict == "Promoted" or rollout.verdict == "Restored"
  earlier = earlier or (serving ~= nil and served and rollout.version ~= serving)
end

local rolling = status.candidateVersion ~= nil
return {
  ["promote"] = { disabled = not (rolling and waits) },
  ["retry"] = { disabled = rolling or not failed or serving == wanted },
  ["pause"] = { disabled = paused },
  ["resume"] = { disabled = not paused },
  ["roll-back"] = { disabled = not earlier },
}
