// The page sends pictures from a file, the clipboard, a camera or a URL to /predict and shows each prediction as a card.

// The size of one request. The page sends many or large pictures in several requests, and halves the size after a 413.
const BATCH_PICTURES = 8;
let batchBytes = 16e6;
const MOST_BARS = 5;
// The storage ends with the tab. Several classifiers may have one origin, so the path is part of the name.
const STORED_KEY = `api-key ${location.pathname}`;

const element = (id) => document.getElementById(id);
const results = element("results");
const explain = element("explain");
// What the cards show, so that it can be sent again when the user wants to see where the model looked.
let shown = () => {};
const drop = element("drop");

function addCard(name, picture) {
  const card = element("card").content.firstElementChild.cloneNode(true);
  const image = card.querySelector("img");
  const text = card.querySelector(".thumb-text");
  card.querySelector(".name").textContent = name;
  // The page shows no preview for a URL: its Content-Security-Policy forbids pictures from other hosts.
  card.querySelector(".thumb").hidden = !picture;
  text.hidden = true;
  if (picture) {
    image.src = URL.createObjectURL(picture);
    image.alt = name;
    // The gateway also reads formats that browsers do not show, such as HEIC and TIFF.
    image.addEventListener("error", () => {
      image.hidden = true;
      text.hidden = false;
      text.textContent = "no preview";
    });
  }
  card.classList.add("waiting");
  card.querySelector(".prediction").textContent = "Classifying …";
  results.append(card);
  results.classList.toggle("single", results.childElementCount === 1);
  return card;
}

function clearCards() {
  results.querySelectorAll("img").forEach((image) => URL.revokeObjectURL(image.src));
  results.replaceChildren();
  element("legend").hidden = true;
}

// Shows the heat map in place of the picture.
function showHeatMap(card, heatmap) {
  const image = card.querySelector("img");
  URL.revokeObjectURL(image.src);
  image.src = heatmap;
  image.alt = "where the model looked";
  image.hidden = false;
  card.querySelector(".thumb").hidden = false;
  card.querySelector(".thumb-text").hidden = true;
}

function percent(probability) {
  return (100 * probability).toFixed(1).replace(".0", "") + " %";
}

function showAnswer(card, answer, model, milliseconds) {
  card.classList.remove("waiting");
  card.querySelector(".prediction").textContent = answer.prediction;
  const classes = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]).slice(0, MOST_BARS);
  for (const [label, probability] of classes) {
    const row = document.createElement("li");
    row.classList.toggle("chosen", label === answer.label);
    const name = document.createElement("span");
    name.textContent = label;
    const value = document.createElement("span");
    value.textContent = percent(probability);
    const bar = document.createElement("meter");
    bar.min = 0;
    bar.max = 1;
    bar.value = probability;
    bar.setAttribute("aria-label", `${label} ${percent(probability)}`);
    row.append(name, value, bar);
    card.querySelector(".bars").append(row);
  }
  const time = `${Math.max(1, Math.round(milliseconds))} ms`;
  card.querySelector(".detail").textContent = `${model.name}, version ${model.version} · ${time}`;
  if (answer.heatmap) {
    showHeatMap(card, answer.heatmap);
  }
  element("legend").hidden = results.querySelector("img[src^='data:']") === null;
}

function showProblem(card, problem) {
  card.classList.remove("waiting");
  card.classList.add("failed");
  card.querySelector(".prediction").textContent = problem.title;
  card.querySelector(".detail").textContent = problem.detail;
}

function noResponse(detail) {
  return { title: "No response", detail: `${detail} Retry in a moment.` };
}

// The problem of a response that is not the gateway's. A sign-in proxy sends 401 when the session has ended.
function foreignResponse(status) {
  return status === 401
    ? { title: "Not signed in", detail: "A proxy sent status 401 instead of the server. Reload the page to sign in." }
    : noResponse(`A proxy sent status ${status} instead of the server.`);
}

// Whether the gateway refuses the API key of a request, or its absence.
function needsKey(problem) {
  return /:key-(missing|refused)$/.test(problem?.type ?? "");
}

// Shows the field for the API key, and waits until there is a new one. Requests that wait together get the same one.
let newKey = null;
function askForKey(problem) {
  if (problem?.type.endsWith("refused")) {
    element("key").querySelector("label").textContent = `${problem.title}. Enter another one`;
  }
  element("key").hidden = false;
  element("api-key").focus();
  newKey ??= new Promise((resolve) => element("key").addEventListener("key", resolve, { once: true }));
  return newKey;
}

function useKey() {
  const field = element("api-key");
  const key = field.value.trim();
  if (!/^[!-~]+$/.test(key)) {
    field.setCustomValidity("Enter the API key: letters, digits and signs, without spaces.");
    field.reportValidity();
    return;
  }
  sessionStorage.setItem(STORED_KEY, key);
  field.value = "";
  element("key").hidden = true;
  newKey = null;
  element("key").dispatchEvent(new Event("key"));
}

// Sends a request. Returns the response document, or the status and a problem document.
async function send(body, given, explained) {
  const key = sessionStorage.getItem(STORED_KEY);
  const headers = { ...given, Accept: "application/json", ...(key ? { "X-API-Key": key } : {}) };
  let response;
  try {
    response = await fetch(explained ? "predict?explain=heatmap" : "predict", { method: "POST", body, headers });
  } catch {
    return { problem: noResponse("The page cannot reach the server.") };
  }
  const { ok, status } = response;
  const said = await response.json().catch(() => null);
  if (ok && said?.model) {
    return { answer: said };
  }
  return { status, problem: said?.title ? said : foreignResponse(status) };
}

// Some models cannot say where they looked.
function withdrawHeatMaps() {
  explain.checked = false;
  explain.disabled = true;
  element("no-heat-maps").hidden = false;
}

// Sends one request for these cards and shows the predictions. Returns false when several pictures were too large for it.
async function ask(cards, body, headers) {
  // Before the first request, because the gateway refuses a request without a key while its pictures are on their way.
  let asks = document.body.dataset.needsKey === "true" && !sessionStorage.getItem(STORED_KEY);
  let status, problem, answer;
  let explained = explain.checked && cards.length === 1;
  let lacksHeatMaps;
  do {
    if (asks) {
      await askForKey(problem);
    }
    if (!cards[0].isConnected) {
      return true; // the user has chosen other pictures meanwhile
    }
    ({ status, problem, answer } = await send(body, headers, explained));
    asks = needsKey(problem);
    lacksHeatMaps = explained && (problem?.type ?? "").endsWith(":no-heat-map");
    if (lacksHeatMaps) {
      explained = false;
      withdrawHeatMaps();
    }
  } while (asks || lacksHeatMaps);
  if (status === 413 && cards.length > 1) {
    return false;
  }
  if (problem) {
    cards.forEach((card) => showProblem(card, problem));
    return true;
  }
  const items = answer.results ?? [answer];
  items.forEach((item, index) => {
    if (item.error) {
      showProblem(cards[index], item.error);
    } else {
      showAnswer(cards[index], item, answer.model, answer.timings_ms.total);
    }
  });
  return true;
}

async function sendFiles(files) {
  if (files.length === 0) {
    return;
  }
  clearCards();
  shown = () => sendFiles(files);
  const cards = files.map((file) => addCard(file.name || "pasted picture", file));
  let start = 0;
  // The user may choose other pictures meanwhile, and the first answer may withdraw the heat maps.
  while (start < files.length && cards[start].isConnected) {
    const most = explain.checked ? 1 : BATCH_PICTURES; // a heat map is for one picture
    const form = new FormData();
    let end = start;
    let bytes = 0;
    while (end < files.length && end - start < most && (end === start || bytes + files[end].size < batchBytes)) {
      form.append("file", files[end], files[end].name || "picture");
      bytes += files[end].size;
      end += 1;
    }
    if (await ask(cards.slice(start, end), form, {})) {
      start = end;
    } else {
      batchBytes = bytes / 2;
    }
  }
}

// Puts a dropped or pasted link into the URL field and sends it.
function sendLink(transfer) {
  const [first] = (transfer.getData("text/uri-list") || transfer.getData("text/plain")).trim().split(/\s/);
  if (!/^https?:\/\//i.test(first)) {
    return false;
  }
  element("url").value = first;
  sendUrl();
  return true;
}

function sendUrl() {
  const field = element("url");
  const url = field.value.trim();
  if (!url) {
    field.setCustomValidity("Enter the URL of a picture first.");
    field.reportValidity();
    return;
  }
  clearCards();
  shown = () => {
    element("url").value = url;
    sendUrl();
  };
  ask([addCard(url, null)], JSON.stringify({ url }), { "Content-Type": "application/json" });
}

element("choose").addEventListener("click", () => element("files").click());
element("photograph").addEventListener("click", () => element("camera").click());
for (const id of ["files", "camera"]) {
  element(id).addEventListener("change", (event) => {
    sendFiles([...event.target.files]);
    event.target.value = "";
  });
}
element("send-url").addEventListener("click", sendUrl);
explain.addEventListener("change", () => shown());
element("use-key").addEventListener("click", useKey);
element("api-key").addEventListener("input", (event) => event.target.setCustomValidity(""));
element("api-key").addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    useKey();
  }
});
element("url").addEventListener("input", (event) => event.target.setCustomValidity(""));
element("url").addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    sendUrl();
  }
});

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", () => drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const files = [...event.dataTransfer.files];
  if (files.length > 0) {
    sendFiles(files);
  } else {
    sendLink(event.dataTransfer);
  }
});
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length > 0) {
    event.preventDefault();
    sendFiles(files);
  } else if (event.target !== element("url") && sendLink(event.clipboardData)) {
    event.preventDefault();
  }
});
