// The annotation page. Answers go into an outbox that survives the tab, and leave it when the server says they are saved.

const AHEAD = 6; // questions kept ready, their images loaded
const GRID = 12;
const POLL_MS = 3000;
const RETRY_MS = 1000;
const PATIENCE_MS = 20000;
const MAX_HELD = 200; // as the server has it

const $ = (id) => document.getElementById(id);
const queue = []; // questions that are to come, or to be answered again
const past = []; // questions answered on this page, for undo
let annotator = null;
let book = null; // the workspace's: answers of another one at this address are not for it
let current = null; // the question on the screen
let cells = []; // the grid's questions: {task, answer}
let focus = 0;
let isGrid = false;
let shownAt = 0;
let isTalking = false;
let timer = null;
const times = []; // seconds of the latest answers

// -- the outbox --------------------------------------------------------------------------------------------

let memory = null; // the outbox where the browser keeps nothing: it lasts as long as the page

const outboxName = () => `outbox:${book}:${annotator}`;

function outbox() {
  if (memory) return memory;
  try {
    const kept = JSON.parse(localStorage.getItem(outboxName()) ?? "[]");
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

function keepOutbox(votes) {
  try {
    if (!memory) localStorage.setItem(outboxName(), JSON.stringify(votes));
  } catch {
    memory = votes;
  }
  if (memory) memory = votes;
}

function post(vote) {
  keepOutbox([...outbox(), { ...vote, key: crypto.getRandomValues(new Uint32Array(2)).join("-") }]);
}

// -- talking to the server ---------------------------------------------------------------------------------

class Refusal extends Error {} // what the server says, where it answers at all

async function call(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return { status: response.status, body: await response.json() };
}

function held() {
  const tasks = [...queue, ...cells.map((cell) => cell.task)];
  if (current) tasks.push(current);
  return [...new Set([...tasks, ...outbox()].map(({ id }) => id))].slice(0, MAX_HELD);
}

async function talk() {
  if (isTalking) return;
  isTalking = true;
  clearTimeout(timer);
  let pause = null;
  try {
    const votes = outbox().slice(0, 100);
    const ahead = isGrid ? GRID : AHEAD;
    const reply = await call("api/work", {
      annotator,
      book,
      votes: votes.map(({ id, answer, seconds }) => ({ id, answer, seconds })),
      held: held(),
      want: Math.max(0, ahead - queue.length),
    });
    if (reply.status === 401) {
      signIn("");
      return;
    }
    if (reply.status === 409) return location.reload(); // somebody else is signed in now, or another server is here
    if (reply.status !== 200) throw new Refusal(reply.body.error);
    // No session yet, so no outbox: this was the call that said whose it is.
    const isNew = annotator !== reply.body.annotator;
    ({ annotator, book } = reply.body);
    $("annotator").textContent = annotator;
    const sent = new Set(votes.map((vote) => vote.key));
    keepOutbox(outbox().filter((vote) => !sent.has(vote.key)));
    const known = new Set(held());
    for (const task of reply.body.tasks) if (!known.has(task.id)) queue.push(preload(task));
    showProgress(reply.body.progress);
    showSaved(null);
    if (outbox().length || isNew) pause = 0;
    else if (!current && !cells.length && !queue.length) pause = POLL_MS;
  } catch (error) {
    showSaved(error);
    pause = RETRY_MS;
  } finally {
    isTalking = false;
  }
  fill();
  if (pause !== null) timer = setTimeout(talk, pause);
}

function preload(task) {
  const image = new Image();
  image.draggable = false;
  image.dataset.task = task.id;
  image.alt = "the image that is asked about";
  image.src = `image/${task.id}`;
  let tries = 0;
  image.onerror = () => {
    if (current?.id === task.id) broken();
    tries += 1;
    if (tries < 5) setTimeout(() => (image.src = `image/${task.id}?try=${tries}`), RETRY_MS * tries);
  };
  image.onload = () => {
    if (current?.id === task.id) $("message").hidden = true;
  };
  return { ...task, image };
}

// -- signing in --------------------------------------------------------------------------------------------

function signIn(error) {
  $("work").hidden = true;
  $("sign-in").hidden = false;
  $("sign-in-error").textContent = error;
  $("name").focus();
}

async function enter(name, token) {
  try {
    const reply = await call("api/sign-in", { name, token });
    if (reply.status !== 200) return signIn(reply.body.error);
    if (annotator !== null && (annotator !== reply.body.annotator || book !== reply.body.book)) return location.reload();
  } catch {
    return signIn("the server does not answer");
  }
  start();
}

function start() {
  $("sign-in").hidden = true;
  $("work").hidden = false;
  talk();
}

// -- showing -----------------------------------------------------------------------------------------------

function fill() {
  if (isGrid) fillGrid();
  else if (!current && queue.length) show(queue.shift());
  if (!current && !cells.length) nothing();
}

function show(task) {
  current = task;
  ask(task);
  $("message").hidden = true;
  $("image").hidden = false;
  $("image").replaceChildren(task.image);
  if (task.image.complete && !task.image.naturalWidth) broken();
  shownAt = performance.now();
  enable();
}

function broken() {
  $("message").textContent = "This image cannot be loaded, or not yet. If it never comes, answer “unsure”.";
  $("message").hidden = false;
}

function nothing() {
  $("image").hidden = true;
  $("grid").hidden = true;
  $("message").hidden = false;
  const { open, left } = progress ?? {};
  if (!progress || isOffline) $("message").textContent = "Waiting for the server.";
  else if (left) $("message").textContent = "Others hold the last images at the moment. This page looks again by itself.";
  else if (open) $("message").textContent = `Thank you! ${open} images wait for votes of other people.`;
  else $("message").textContent = "All images have their votes. Thank you!";
  $("class-name").textContent = "";
  $("samples").replaceChildren();
  $("question").hidden = true;
  $("samples-box").hidden = true;
  enable();
}

let askedLabel = null;

function ask(task) {
  $("question").hidden = false;
  $("class-name").textContent = `${task.class_name}?`;
  $("samples-box").hidden = !task.samples;
  if (askedLabel !== task.label || $("samples").childElementCount !== task.samples) {
    askedLabel = task.label;
    const images = Array.from({ length: task.samples }, (_, place) => {
      const image = new Image();
      image.src = `sample/${task.label}/${place}`;
      image.alt = `clean example ${place + 1}`;
      return image;
    });
    $("samples").replaceChildren(...images);
  }
}

let progress = null; // as the server told it last
let isOffline = false;

function showProgress(told) {
  progress = told;
  const done = told.questions - told.open;
  $("bar-done").style.width = `${(100 * done) / Math.max(told.questions, 1)}%`;
  $("bar").setAttribute("aria-valuemax", told.questions);
  $("bar").setAttribute("aria-valuenow", done);
  $("progress").textContent = `${done} of ${told.questions} images decided · you answered ${told.answered}`;
}

function showPace() {
  if (times.length < 3) return;
  const sorted = [...times].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  $("pace").textContent = `${median.toFixed(1)} s an image`;
}

function showSaved(error) {
  isOffline = Boolean(error);
  const waiting = outbox().length;
  const marked = cells.filter((cell) => cell.answer).length;
  $("saved").classList.toggle("waiting", isOffline);
  if (error) {
    const why = error instanceof Refusal ? `the server says: ${error.message}` : "server not reached";
    $("saved").textContent = `${why}: ${waiting} answer${waiting === 1 ? "" : "s"} kept here, trying again`;
  } else if (waiting) $("saved").textContent = `saving ${waiting}…`;
  else $("saved").textContent = marked ? `${marked} not sent yet` : "all saved";
}

function enable() {
  for (const id of ["yes", "no", "unsure"]) $(id).disabled = !current && !cells.length;
  const hasMarks = cells.some((cell) => cell.answer);
  $("undo").disabled = !hasMarks && !past.length;
  $("others").disabled = !cells.length;
  $("send").disabled = !hasMarks;
}

// -- answering ---------------------------------------------------------------------------------------------

// Seconds an image took, of `count` that were answered since they came on the screen.
function measured(count) {
  const seconds = (performance.now() - shownAt) / 1000 / count;
  times.push(...Array(count).fill(seconds));
  times.splice(0, times.length - 30);
  showPace();
  return Math.round(seconds * 1000) / 1000;
}

// Nobody says yes or no of an image they have not seen.
function mayAnswer({ image }, said) {
  return image.complete && (image.naturalWidth > 0 || said === "unsure");
}

function answer(said) {
  if (isGrid) return answerCell(said);
  if (!current || !mayAnswer(current, said)) return;
  post({ id: current.id, answer: said, seconds: measured(1) });
  past.push(current);
  current = null;
  fill();
  talk();
  showSaved(null);
}

function undo() {
  if (isGrid) return undoCell();
  if (!past.length) return;
  if (current) queue.unshift(current);
  const task = past.pop();
  post({ id: task.id, answer: null, seconds: null });
  show(task);
  talk();
}

// -- the grid ----------------------------------------------------------------------------------------------

function fillGrid() {
  if (cells.length || !queue.length) return;
  const label = queue[0].label;
  for (let place = 0; place < queue.length && cells.length < GRID; )
    if (queue[place].label === label) cells.push({ task: queue.splice(place, 1)[0], answer: null });
    else place += 1;
  focus = 0;
  ask(cells[0].task);
  $("image").hidden = true;
  $("message").hidden = true;
  $("grid").hidden = false;
  $("grid").replaceChildren(
    ...cells.map((cell, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "cell";
      button.append(cell.task.image, document.createElement("span"));
      button.addEventListener("click", () => {
        const said = { yes: "no", no: "unsure", unsure: "yes" }[cell.answer] ?? "no";
        if (mayAnswer(cell.task, said)) cell.answer = said;
        focus = place;
        drawGrid();
      });
      return button;
    }),
  );
  shownAt = performance.now();
  drawGrid();
}

function drawGrid() {
  [...$("grid").children].forEach((button, place) => {
    const said = cells[place].answer;
    button.classList.toggle("current", place === focus);
    if (said) button.dataset.answer = said;
    else delete button.dataset.answer;
    button.lastChild.textContent = said ?? "";
  });
  $("grid").children[focus]?.scrollIntoView({ block: "nearest" });
  enable();
  if (!isOffline) showSaved(null);
}

function answerCell(said) {
  if (!cells.length) return;
  if (!mayAnswer(cells[focus].task, said)) return;
  cells[focus].answer = said;
  if (focus < cells.length - 1) focus += 1;
  drawGrid();
}

function undoCell() {
  if (!cells.some((cell) => cell.answer)) {
    if (!past.length) return;
    toggleGrid(); // what was sent is taken back one by one
    return undo();
  }
  if (!cells[focus].answer && focus > 0) focus -= 1;
  cells[focus].answer = null;
  drawGrid();
}

function othersYes() {
  for (const cell of cells) if (mayAnswer(cell.task, "yes")) cell.answer ??= "yes";
  drawGrid();
}

// Into the outbox with what is marked; what is not comes again.
function clearGrid() {
  const answered = cells.filter((cell) => cell.answer);
  if (answered.length) {
    const seconds = measured(answered.length);
    for (const { task, answer } of answered) {
      post({ id: task.id, answer, seconds });
      past.push(task);
    }
  }
  queue.unshift(...cells.filter((cell) => !cell.answer).map((cell) => cell.task));
  cells = [];
  $("grid").replaceChildren();
}

function send() {
  if (!cells.some((cell) => cell.answer)) return;
  clearGrid();
  fill();
  talk();
  showSaved(null);
}

function toggleGrid() {
  isGrid = !isGrid;
  if (current) queue.unshift(current);
  current = null;
  clearGrid();
  $("grid").hidden = true;
  $("mode").textContent = isGrid ? "One image" : "Grid";
  $("question").textContent = isGrid ? "Is each of these a" : "Is this a";
  for (const id of ["legend-grid", "others", "send"]) $(id).hidden = !isGrid;
  $("legend-one").hidden = isGrid;
  if (!isGrid) fill();
  talk();
}

function columns() {
  return getComputedStyle($("grid")).gridTemplateColumns.split(" ").length;
}

function move(step) {
  const place = focus + step;
  if (place >= 0 && place < cells.length) focus = place;
  drawGrid();
}

// -- keys and buttons --------------------------------------------------------------------------------------

const ONE = {
  y: () => answer("yes"), arrowright: () => answer("yes"),
  n: () => answer("no"), arrowleft: () => answer("no"),
  u: () => answer("unsure"), arrowdown: () => answer("unsure"),
  z: undo, arrowup: undo, backspace: undo,
  g: toggleGrid,
};
const MANY = {
  y: () => answer("yes"), n: () => answer("no"), u: () => answer("unsure"),
  z: undo, backspace: undo,
  arrowright: () => move(1), arrowleft: () => move(-1),
  arrowdown: () => move(columns()), arrowup: () => move(-columns()),
  a: othersYes, enter: send, g: toggleGrid,
};

addEventListener("keydown", (event) => {
  if ($("work").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const action = (isGrid ? MANY : ONE)[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault(); // Enter would press the focused button, arrows would scroll
  action();
});

$("yes").addEventListener("click", () => answer("yes"));
$("no").addEventListener("click", () => answer("no"));
$("unsure").addEventListener("click", () => answer("unsure"));
$("undo").addEventListener("click", undo);
$("others").addEventListener("click", othersYes);
$("send").addEventListener("click", send);
$("mode").addEventListener("click", toggleGrid);
$("sign-out").addEventListener("click", async () => {
  await call("api/sign-out", {}).catch(() => {});
  location.reload();
});
$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  enter($("name").value, $("token").value);
});
addEventListener("online", talk);
addEventListener("hashchange", () => location.reload()); // somebody's link was opened in this tab
addEventListener("pagehide", clearGrid); // what is marked is sent when the page is opened again

const link = /^#([^:]+):([\w-]+)$/.exec(location.hash);
if (link) {
  history.replaceState(null, "", location.pathname); // the token does not stay in the address bar
  enter(decodeURIComponent(link[1]), link[2]);
} else {
  start();
}
