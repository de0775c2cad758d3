"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { labels, several, texts, words } = data;
  const KEY = `emo_hf labelling ${data.key}`;
  const SKIPPED = "skipped";
  const MOST_STEPS = 2000;
  const NUMBERED = 9;
  const at = (id) => document.getElementById(id);
  const filter = at("filter");
  const say = (text) => { at("status").textContent = text; };
  const filled = (text, ...values) => values.reduce((done, value) => done.replace("{}", () => value), text);

  // An answer is a list of labels by their places, SKIPPED, or null. A draft is a list that is not confirmed yet.
  // `steps` holds what was there before each step; `saved` what the last file holds.
  const fresh = () => ({ answers: texts.map(() => null), drafts: {}, row: 0, steps: [], saved: "" });
  let state = fresh();
  let kept = true;

  const isList = (value) => Array.isArray(value) && value.every((place) => Number.isInteger(place) && place >= 0 && place < labels.length);
  const isState = (value) => value && Array.isArray(value.answers) && value.answers.length === texts.length
    && value.answers.every((one) => one === null || one === SKIPPED || isList(one))
    && typeof value.drafts === "object" && value.drafts !== null && Object.values(value.drafts).every(isList)
    && Number.isInteger(value.row) && value.row >= 0 && value.row < texts.length && Array.isArray(value.steps);

  function restore(content) {
    try {
      const found = JSON.parse(content);
      if (isState(found)) state = { ...fresh(), ...found };
    } catch { /* written by nobody that we know */ }
  }

  function keep() {
    try {
      localStorage.setItem(KEY, JSON.stringify(state));
      kept = true;
    } catch { // switched off, or full
      kept = false;
    }
    at("broken").hidden = kept;
    at("kept").hidden = !kept;
  }

  const labelled = () => state.answers.filter(Array.isArray).length;
  const signature = () => (labelled() ? JSON.stringify(state.answers) : "");
  const unsaved = () => signature() !== state.saved && labelled() > 0;
  const chosen = () => state.drafts[state.row] ?? (Array.isArray(state.answers[state.row]) ? state.answers[state.row] : []);
  const named = (places) => places.map((place) => labels[place]).join(", ");

  // Parts of a syllable find it while it is being typed: ㅅ, 스 and 슬 all find 슬픔, as ㄱ, 기 and 긷 find 기대. So
  // the letter that ends a syllable is to be the one that begins another.
  const FINALS = "ㄱ ㄲ ㄱㅅ ㄴ ㄴㅈ ㄴㅎ ㄷ ㄹ ㄹㄱ ㄹㅁ ㄹㅂ ㄹㅅ ㄹㅌ ㄹㅍ ㄹㅎ ㅁ ㅂ ㅂㅅ ㅅ ㅆ ㅇ ㅈ ㅊ ㅋ ㅌ ㅍ ㅎ".normalize("NFKD").split(" ");
  const letters = (text) => text.normalize("NFKD").toLowerCase().replace(/\s/g, "")
    .replace(/[\u11a8-\u11c2]/g, (final) => FINALS[final.codePointAt(0) - 0x11a8]);
  const visible = () => {
    const wanted = filter ? letters(filter.value) : "";
    return labels.map((_, place) => place).filter((place) => letters(labels[place]).includes(wanted));
  };

  function drawLabels() {
    const shown = visible();
    const picked = new Set(chosen());
    const group = at("labels");
    const focused = document.activeElement?.dataset?.place;
    group.replaceChildren(...shown.map((place, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.place = place;
      button.setAttribute("aria-pressed", String(picked.has(place)));
      if (number < NUMBERED) {
        const key = document.createElement("kbd");
        key.textContent = number + 1;
        button.append(key);
        button.setAttribute("aria-keyshortcuts", String(number + 1));
      }
      button.append(labels[place]);
      button.addEventListener("click", (event) => {
        if (event.detail) button.blur(); // of a mouse: Enter is for the text then, not for this button again
        choose(place);
      });
      return button;
    }));
    if (focused !== undefined) group.querySelector(`[data-place="${focused}"]`)?.focus();
    at("no-match").hidden = shown.length > 0;
  }

  function draw() {
    const answer = state.answers[state.row];
    const done = labelled();
    const skipped = state.answers.filter((one) => one === SKIPPED).length;
    const begun = Object.keys(state.drafts).length;
    if (at("text").textContent !== texts[state.row]) at("text").textContent = texts[state.row];
    at("place").textContent = filled(words.of, state.row + 1, texts.length);
    at("mark").textContent = Array.isArray(answer) ? (named(answer) || words.none) : answer === SKIPPED ? words.skip : "";
    at("bar").value = done;
    at("count").textContent = [
      words.done.replace("{done}", done).replace("{all}", texts.length),
      ...(skipped ? [filled(words.skipped, skipped)] : []),
      ...(begun ? [filled(words.begun, begun)] : []),
      ...(done ? [unsaved() ? words.unsaved : words.all_saved] : []),
    ].join(" · ");
    at("previous").disabled = state.row === 0;
    at("next").disabled = state.row === texts.length - 1;
    at("undo").disabled = state.steps.length === 0;
    drawLabels();
  }

  function hideHint() {
    at("says").hidden = true;
    at("hint").setAttribute("aria-expanded", "false");
  }

  function hint() {
    const names = data.says[state.row];
    at("says").textContent = names.length ? filled(words.says, names.join(", ")) : words.says_none;
    at("says").hidden = !at("says").hidden;
    at("hint").setAttribute("aria-expanded", String(!at("says").hidden));
  }

  function step() {
    const { row, answers, drafts } = state;
    state.steps.push({ row, answer: answers[row], draft: drafts[row] ?? null });
    if (state.steps.length > MOST_STEPS) state.steps.shift();
  }

  function go(row) {
    if (row < 0 || row >= texts.length) return;
    state.row = row;
    hideHint();
    keep();
    draw();
    at("text").scrollTop = 0;
  }

  function answer(value, said) {
    step();
    state.answers[state.row] = value;
    delete state.drafts[state.row];
    if (filter) filter.value = "";
    const places = texts.map((_, place) => (state.row + 1 + place) % texts.length);
    const next = places.find((place) => state.answers[place] === null);
    go(next ?? Math.min(state.row + 1, texts.length - 1));
    say(next === undefined ? `${said} ${words.all_done}` : said);
  }

  function choose(place) {
    if (!several) {
      answer([place], filled(words.said, labels[place]));
      return;
    }
    const before = chosen();
    step();
    const after = before.includes(place) ? before.filter((one) => one !== place) : [...before, place];
    state.drafts[state.row] = after.sort((one, other) => one - other);
    if (filter) filter.value = "";
    keep();
    draw();
    say(named(after));
  }

  function confirm() {
    const places = chosen();
    if (places.length) answer([...places], filled(words.said, named(places)));
    else say(words.said_choose);
  }

  function undo() {
    const last = state.steps.pop();
    if (!last) {
      say(words.said_nothing);
      return;
    }
    state.answers[last.row] = last.answer;
    if (last.draft) state.drafts[last.row] = last.draft;
    else delete state.drafts[last.row];
    go(last.row);
    say(words.said_undo);
  }

  // As RFC 4180 has it, all cells in quotes; the mark in front tells Excel that it is UTF-8.
  function csv() {
    const cell = (text) => `"${text.replaceAll('"', '""')}"`;
    const rows = [data.columns];
    state.answers.forEach((one, row) => {
      if (!Array.isArray(one)) return;
      const names = one.map((place) => labels[place]);
      rows.push([texts[row], several ? JSON.stringify(names) : names[0]]);
    });
    return `\ufeff${rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("")}`;
  }

  function save() {
    if (!labelled()) {
      say(words.said_empty);
      return;
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv;charset=utf-8" }));
    link.download = data.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    state.saved = signature();
    keep();
    draw();
    say(filled(words.said_saved, labelled(), data.file));
  }

  const skip = () => answer(SKIPPED, words.said_skip);
  const none = () => answer([], words.said_none);
  const previous = () => go(state.row - 1);
  const next = () => go(state.row + 1);
  const byNumber = (number) => {
    const place = visible()[number - 1];
    if (place !== undefined) choose(place);
  };

  // Letters by the place of their key: with Korean input switched on the key U types ㅕ.
  const byCode = { KeyU: undo, Backspace: undo, KeyS: skip, KeyH: hint, ArrowLeft: previous, ArrowRight: next };
  if (several) Object.assign(byCode, { KeyN: none, Enter: confirm, NumpadEnter: confirm });
  if (filter) byCode.Slash = () => filter.focus();

  function digitOf(event) {
    if (/^[0-9]$/.test(event.key)) return Number(event.key);
    const found = event.shiftKey ? null : /^Digit([0-9])$/.exec(event.code); // the row of digits, whatever it types
    return found ? Number(found[1]) : null;
  }

  function inFilter(event) {
    if (event.key === "Escape") {
      filter.value = "";
      filter.blur();
      drawLabels();
      return true;
    }
    if (event.key !== "Enter") return false;
    const [first] = visible();
    if (filter.value.trim()) {
      if (first !== undefined) choose(first);
    } else if (several) confirm();
    return true;
  }

  function action(event) {
    if (event.ctrlKey || event.metaKey) {
      if (event.code === "KeyS") return save;
      return event.code === "KeyZ" && !event.shiftKey && !(event.target === filter && filter.value) ? undo : null;
    }
    const digit = event.altKey ? null : digitOf(event);
    if (digit) return () => byNumber(digit);
    if (event.altKey || event.target === filter) return null;
    if (digit === 0) return several ? none : null;
    if (event.target.closest("button, summary") && ["Enter", " "].includes(event.key)) return null; // it is pressed
    return Object.hasOwn(byCode, event.code) ? byCode[event.code] : null;
  }

  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // the key belongs to a syllable
    const act = action(event);
    if (!act) {
      if (event.target === filter && !event.altKey && inFilter(event)) event.preventDefault();
      return;
    }
    event.preventDefault();
    const held = event.repeat && act !== previous && act !== next; // a key that lies down labels one text, not all
    if (!held) act();
  });

  for (const [id, act] of Object.entries({ confirm, none, previous, next, skip, undo, save, hint })) {
    at(id)?.addEventListener("click", (event) => {
      if (event.detail) event.currentTarget.blur();
      act();
    });
  }
  filter?.addEventListener("input", drawLabels);
  window.addEventListener("storage", (event) => { // the same page in another tab
    if (event.key === KEY && event.newValue) {
      restore(event.newValue);
      draw();
    }
  });
  window.addEventListener("beforeunload", (event) => {
    if (unsaved()) event.preventDefault();
  });

  try {
    restore(localStorage.getItem(KEY));
  } catch { /* told by keep() */ }
  keep();
  draw();
})();
