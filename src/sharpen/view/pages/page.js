// Puts in what is new, and goes on with a search that has found nothing yet. Whatever comes is HTML that the server has escaped.
"use strict";

const events = document.body.dataset.events;
const offline = document.querySelector(".offline");

function put(id, html) {
  const place = document.getElementById(id);
  if (!place || place.contains(document.activeElement) && place.querySelector("input:focus, textarea:focus")) return;
  place.innerHTML = html;
}

if (events) {
  const source = new EventSource(events);
  source.addEventListener("part", (event) => {
    const part = JSON.parse(event.data);
    put(part.id, part.html);
  });
  source.onopen = () => { offline.hidden = true; };
  source.onerror = () => { offline.hidden = false; };
  addEventListener("pagehide", () => source.close());
}

const found = document.getElementById("found");

async function further(link) {
  const row = link.closest("tr");
  link.textContent = "looking…";
  const answer = await fetch(`${link.href}&rows=1`);
  if (!answer.ok) { link.textContent = "that failed: try again"; return; }
  const html = await answer.text();
  if (!row.isConnected) return;
  row.remove();
  found.insertAdjacentHTML("beforeend", html);
  goOn();
}

function goOn() {
  const link = found.querySelector("tr.further a[data-further]");
  if (!link) return;
  link.addEventListener("click", (event) => { event.preventDefault(); further(link); });
  if (link.dataset.further === "none") further(link);
}

if (found) goOn();

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
  const field = document.querySelector("form.search input");
  if (field) { event.preventDefault(); field.focus(); }
});
