"use strict";
// The page of a review: what `tagger.reviewing.desk` tells, and the keys of the terminal. Text goes
// in as text, never as markup.
(() => {
  const at = (id) => document.getElementById(id);
  const make = (tag, kind, text) => {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const rows = [], details = new Map(), picked = new Set();
  let total = 0, here = -1, steps = 0, busy = false, ended = false, excerptsOnly = false;
  let shown = null;
  const answered = new Set();
  // What a skip is called: of the unsure tracks, and of those whose own genre is doubted.
  let words = {tracks: "unsure", skip: "skip", skipped: "skipped"};

  const leaving = new AbortController();  // ends what is only shown
  const ask = async (what, body) => {
    const answer = await fetch(what, body === undefined ? {signal: leaving.signal} : {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    return told;
  };
  const say = (text, wrong) => {
    at("said").textContent = text;
    at("said").className = wrong ? "wrong" : "";
  };
  const failed = (error) => error.name === "AbortError" || say(error instanceof TypeError ?
    "gtag review does not answer: it has ended." : error.message, true);
  // What is done one after the other: a key that is pressed meanwhile does nothing.
  const alone = async (work) => {
    if (busy || ended) return;
    busy = true;
    document.body.setAttribute("aria-busy", "true");
    try { await work(); } catch (error) { failed(error); }
    busy = false;
    document.body.removeAttribute("aria-busy");
  };
  const clock = (s) => Math.floor(Math.round(s) / 60) + ":" + String(Math.round(s) % 60).padStart(2, "0");
  const targets = () => picked.size ? [...picked].sort((a, b) => a - b) : [here];

  // The queue, by album.
  const lines = new Map();
  let group = null;
  const load = async () => {
    for (const row of (await ask("queue/" + rows.length)).tracks) {
      rows.push(row);
      if (!row.joins || !group) {
        const section = make("section"), title = make("h3");
        title.append(make("span", "", [row.album_artist, row.album].filter(Boolean).join(" – ") ||
          row.folder || "Tracks"));
        const all = make("button", "", "Select all");
        const numbers = [];
        all.type = "button";
        all.setAttribute("aria-label", "Select all open tracks of " + title.textContent);
        all.addEventListener("click", () => pickAlbum(numbers));
        title.append(all);
        group = {list: make("ul"), numbers};
        section.append(title, group.list);
        at("queue").insertBefore(section, at("more"));
      }
      group.numbers.push(row.number);
      row.group = group.numbers;
      const line = make("li"), box = make("input"), go = make("button");
      box.type = "checkbox";
      box.setAttribute("aria-label", "Select " + row.name);
      box.addEventListener("click", (event) => pick(row.number, box.checked, event.shiftKey));
      go.type = "button";
      go.append(make("span", "", row.name), make("small"));
      go.addEventListener("click", () => show(row.number));
      line.append(box, go);
      group.list.append(line);
      lines.set(row.number, line);
      paint(row.number);
    }
    if (at("more")) at("more").hidden = rows.length >= total;
  };
  const paint = (number) => {
    const row = rows[number], line = lines.get(number);
    if (!line) return;
    line.className = row.state + (number === here ? " here" : "");
    const told = {
      open: row.confidence == null ? row.message : row.guess + " " + row.confidence.toFixed(2) + "?",
      answered: (row.old || "no genre") + " → " + row.now, skipped: words.skipped, problem: row.message,
    }[row.state];
    line.querySelector("small").textContent = told || "";
    line.querySelector("input").checked = picked.has(number);
    line.querySelector("input").disabled = row.state === "problem";
    const go = line.querySelector("button");
    if (number === here) go.setAttribute("aria-current", "true"); else go.removeAttribute("aria-current");
  };
  let lastPicked = -1;
  const pick = (number, on, range) => {
    const from = range && lastPicked >= 0 ? Math.min(lastPicked, number) : number;
    const until = range && lastPicked >= 0 ? Math.max(lastPicked, number) : number;
    for (let i = from; i <= until; i++) {
      if (on && rows[i].state !== "problem") picked.add(i); else picked.delete(i);
      paint(i);
    }
    lastPicked = number;
    whom();
  };
  const pickAlbum = (numbers) => {
    const open = numbers.filter((i) => rows[i].state === "open" || i === here);
    const on = !open.every((i) => picked.has(i));
    for (const i of numbers) { if (on && open.includes(i)) picked.add(i); else picked.delete(i); paint(i); }
    whom();
  };
  const whom = () => {
    at("whom").hidden = !picked.size;
    at("whom").textContent = "The answer is for the " + picked.size + " selected " +
      (picked.size === 1 ? "track." : "tracks.");
    const album = here >= 0 ? rows[here].group.filter((i) => rows[i].state === "open" || i === here) : [];
    at("album").setAttribute("aria-pressed", String(album.length > 0 && album.every((i) => picked.has(i))));
  };
  const unpick = () => { const were = [...picked]; picked.clear(); were.forEach(paint); whom(); };

  // One track.
  const detail = (number, ahead) => {
    if (!details.has(number)) {
      const asked = ask("track/" + number + (ahead ? "?ahead" : ""));
      asked.catch(() => details.delete(number));
      details.set(number, asked);
      if (details.size > 20) details.delete(details.keys().next().value);
    }
    return details.get(number);
  };
  const show = (number) => shows(number).catch(failed);
  const shows = async (number) => {
    stop();
    shown = null;
    const before = here;
    here = number;
    if (before >= 0) paint(before);
    paint(number);
    // Only the queue moves, not the page.
    const line = lines.get(number), queue = at("queue");
    if (queue.scrollHeight > queue.clientHeight)
      queue.scrollTop = line.offsetTop - queue.offsetTop - queue.clientHeight / 3;
    const row = rows[number];
    at("main").hidden = false;
    at("title").textContent = row.name;
    at("credits").textContent = [row.artist, row.album].filter(Boolean).join(" – ");
    at("path").textContent = row.path;
    at("why").textContent = row.message;
    at("near").hidden = true;
    at("cover").hidden = true;
    for (const id of ["sound", "guesses", "legend", "change"]) at(id).textContent = "";
    at("find").value = "";
    grow();
    whom();
    at("title").focus({preventScroll: before < 0});
    if (row.state === "problem") return;
    const told = await detail(number);
    if (here !== number || ended) return;
    shown = told;
    if (told.state === "problem") { Object.assign(row, told); paint(number); say(told.message, true); return; }
    if (told.cover) {
      at("cover").src = "cover/" + number;
      at("cover").alt = "Cover of " + (row.album || row.name);
      at("cover").hidden = false;
    }
    outline(told);
    told.guesses.forEach((guess, i) => {
      const item = make("li"), button = make("button"), bar = make("span", "bar");
      button.type = "button";
      bar.style.width = Math.round(100 * guess.p) + "%";
      bar.setAttribute("aria-hidden", "true");
      const key = make("kbd", "", String(i + 1));
      key.setAttribute("aria-hidden", "true");
      button.append(key, make("span", "", guess.genre), bar, make("span", "", guess.p.toFixed(2)));
      if (guess.genre === told.accepted) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => answer(guess.genre, true));
      item.append(button);
      at("guesses").append(item);
    });
    at("enter").textContent = told.accepted ? "accept " + told.accepted : words.skip;
    change(row, told.accepted);
    const next = following(number);
    if (next >= 0) detail(next, true).catch(() => {});
  };
  const change = (row, accepted) => {
    const p = at("change");
    const now = row.now || "no genre";
    p.textContent = "";
    if (row.state === "answered") p.append(make("s", "", row.old || "no genre"), " → ", make("b", "", now));
    else if (accepted) p.append(make("s", "", now), " → ", make("b", "", accepted), "?");
    else p.append("genre: " + now);
  };
  const SVG = "http://www.w3.org/2000/svg";
  const draw = (tag, values) => {
    const element = document.createElementNS(SVG, tag);
    for (const key in values) element.setAttribute(key, values[key]);
    return element;
  };
  const outline = (told) => {
    const counts = new Map();
    for (const chunk of told.timeline) counts.set(chunk.genre, (counts.get(chunk.genre) || 0) + 1);
    const genres = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
    const colour = (genre) => "g" + Math.min(4, genres.indexOf(genre));
    let passed = 0;
    for (const excerpt of told.excerpts) {
      const W = excerpt.peaks.length, H = 60;
      const button = make("button"), svg = draw("svg", {viewBox: `0 0 ${W} ${H + 12}`,
        preserveAspectRatio: "none", "aria-hidden": "true"});
      const end = excerpt.start + excerpt.length, x = (s) => W * (s - excerpt.start) / excerpt.length;
      const inside = told.timeline.filter((c) => c.start >= excerpt.start - .1 && c.start < end - .1);
      inside.forEach((chunk, i) => {
        const until = i + 1 < inside.length ? inside[i + 1].start : end;
        const rect = draw("rect", {x: x(chunk.start), y: H + 2, width: Math.max(0, x(until) - x(chunk.start)),
          height: 10, class: colour(chunk.genre), opacity: (.35 + .65 * chunk.p).toFixed(2)});
        const title = draw("title", {});
        title.textContent = clock(chunk.start) + " " + chunk.genre + " " + chunk.p.toFixed(2);
        rect.append(title);
        svg.append(rect);
      });
      const top = excerpt.peaks.map((p, i) => `${i} ${H / 2 - p * H / 200}`);
      const below = excerpt.peaks.map((p, i) => `${i} ${H / 2 + p * H / 200 + .5}`).reverse();
      svg.append(draw("path", {d: "M" + top.concat(below).join("L") + "Z", class: "wave"}));
      const line = draw("line", {y1: 0, y2: H, class: "at", visibility: "hidden"});
      svg.append(line);
      button.type = "button";
      const said = [...new Set(inside.map((c) => c.genre))].join(", ");
      button.setAttribute("aria-label", "Play from " + clock(excerpt.start) + (said ? ": " + said : ""));
      button.append(svg, make("span", "", clock(excerpt.start) + " – " + clock(end)));
      excerpt.before = passed;
      passed += excerpt.length;
      excerpt.line = line;
      excerpt.x = x;
      button.addEventListener("click", (event) => {
        const box = svg.getBoundingClientRect();
        const share = event.detail ? (event.clientX - box.left) / box.width : 0;
        play(excerpt.start + excerpt.length * Math.min(.98, Math.max(0, share)));
      });
      at("sound").append(button);
    }
    genres.slice(0, 5).forEach((genre, i) => {
      at("legend").append(make("span", "key " + colour(genre)), " " + (i < 4 ? genre : "others") + "  ");
    });
  };

  // Sound. What the browser cannot play comes as the excerpts that gtag decoded.
  const audio = at("audio");
  let wanted = 0, blob = "";
  const placed = (s) => {  // from a time in the track to one in what is played
    if (!excerptsOnly) return s;
    const one = shown.excerpts.findLast((e) => e.start <= s + .01) || shown.excerpts[0];
    return one.before + Math.min(one.length, s - one.start);
  };
  const play = async (s) => {
    if (!shown || !shown.excerpts.length) return;
    wanted = s;
    if (!audio.getAttribute("src")) { excerptsOnly = false; audio.src = "audio/" + here; }
    await start();
  };
  const start = async () => {
    try {
      audio.currentTime = placed(wanted);
      await audio.play();
      at("play").firstChild.textContent = "Stop ";
    } catch (error) {
      if (error.name !== "NotSupportedError" || excerptsOnly) return;
      const answer = await fetch("excerpts/" + here);
      if (!answer.ok) return;
      excerptsOnly = true;
      blob = URL.createObjectURL(await answer.blob());
      audio.src = blob;
      await start();
    }
  };
  const stop = () => {
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
    URL.revokeObjectURL(blob);
    at("play").firstChild.textContent = "Play ";
    if (shown) for (const e of shown.excerpts || []) if (e.line) e.line.setAttribute("visibility", "hidden");
  };
  const toggle = () => {
    if (audio.getAttribute("src") && !audio.paused) stop();
    else if (shown && shown.excerpts.length) play(shown.excerpts[Math.min(1, shown.excerpts.length - 1)].start);
    else say("Nothing in this track can be played.", true);
  };
  audio.addEventListener("ended", stop);
  audio.addEventListener("timeupdate", () => {
    if (!shown || !audio.getAttribute("src")) return;
    for (const e of shown.excerpts) {
      const s = excerptsOnly ? e.start + audio.currentTime - e.before : audio.currentTime;
      const inside = s >= e.start && s <= e.start + e.length;
      e.line.setAttribute("visibility", inside ? "visible" : "hidden");
      if (inside) { e.line.setAttribute("x1", e.x(s)); e.line.setAttribute("x2", e.x(s)); }
    }
  });

  // Answers.
  const following = (number) => rows.findIndex((row, i) => i > number && row.state === "open");
  const update = (told) => {
    for (const row of told.tracks) {
      Object.assign(rows[row.number], row);
      details.delete(row.number);
      paint(row.number);
    }
    const wrong = Object.entries(told.problems);
    const alike = new Map();  // one line a reason
    for (const [i, why] of wrong) alike.set(why, [...(alike.get(why) || []), rows[i].name]);
    if (wrong.length) say([...alike].map(([why, names]) =>
      (names.length > 3 ? names.length + " tracks" : names.join(", ")) + ": " + why).join("; "), true);
    return !wrong.length;
  };
  const count = () => {
    const left = rows.filter((row) => row.state === "open").length + (total - rows.length);
    at("count").textContent = total + " " + words.tracks + " " + (total === 1 ? "track" : "tracks") + ", " + left +
      " to go, " + answered.size + " answered";
    at("undo").disabled = !steps;
  };
  const next = async (from) => {
    while (following(from) < 0 && rows.length < total) await load();
    let number = following(from);
    if (number < 0) number = rows.findIndex((row) => row.state === "open");
    count();
    if (number >= 0) show(number);
    else { say("All tracks were seen. Finish ends the review; gtag undo takes its answers back."); at("done").focus(); }
  };
  const answer = (genres, asTyped) => alone(async () => {
    if (!genres.trim()) return;
    stop();
    const told = await ask("do/answer", {numbers: targets(), genres, as_typed: asTyped});
    if (told.near) return offer(genres, told);
    const fine = update(told);
    const n = told.tracks.length;
    if (!n) { count(); return; }
    for (const row of told.tracks) answered.add(row.number);
    steps += 1;
    const remarks = Object.values(told.remarks).join("; ");
    if (fine) say("Written into " + (n === 1 ? told.tracks[0].name : n + " tracks") + ": " +
      told.tracks[0].now + (remarks ? " (" + remarks + ")" : ""));
    const from = here;
    unpick();
    await next(from);
  });
  const offer = (genres, told) => {
    const p = at("near");
    p.textContent = "Did you mean " + told.near + "? ";
    const yes = make("button", "", told.near), no = make("button", "", "Keep “" + told.typed + "”");
    yes.type = no.type = "button";
    yes.addEventListener("click", () => answer(genres.split(";").map((one) =>
      one.trim().replace(/\s+/g, " ") === told.typed ? told.near : one).join(";"), false));
    no.addEventListener("click", () => answer(genres, true));
    p.append(yes, " ", no);
    p.hidden = false;
    yes.focus();
  };
  const skip = () => alone(async () => {
    stop();
    const told = await ask("do/skip", {numbers: targets()});
    if (update(told)) say(words.skipped + ": " + told.tracks.map((row) => row.name).join(", "));
    steps += told.tracks.length ? 1 : 0;
    const from = here;
    unpick();
    await next(from);
  });
  const undo = () => alone(async () => {
    if (!steps) return say("There is nothing to take back.");
    stop();
    const told = await ask("do/undo", {});
    steps -= 1;
    for (const row of told.tracks) answered.delete(row.number);
    if (update(told)) say("Taken back: " + told.tracks.map((row) => row.name).join(", "));
    count();
    if (told.tracks.length) show(Math.min(...told.tracks.map((row) => row.number)));
  });
  const move = (by) => alone(async () => {
    const number = here + by;
    if (number >= rows.length && rows.length < total) await load();
    if (rows[number]) show(number);
  });

  // The tree of genres.
  let genres = [], items = [], active = -1;
  const key = (text) => text.normalize("NFD").toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
  const open = new Set();
  const grow = () => {
    const typed = key(at("find").value.split(";").pop());
    items = [];
    active = -1;
    const branch = (nodes, list) => {
      for (const node of nodes) {
        const fits = !typed || key(node.name).includes(typed);
        const below = make("ul");
        below.setAttribute("role", "group");
        const mark = items.length;
        const item = make("li");
        items.push({item, node});
        const within = branch(node.below, below);
        if (!fits && !within) { items.length = mark; continue; }
        const label = make("span", "", node.name);
        item.id = "genre-" + mark;
        item.setAttribute("role", "treeitem");
        item.setAttribute("aria-selected", "false");
        item.append(label);
        label.addEventListener("click", (event) => {
          // A click on the arrow opens; on the name, it answers.
          if (node.below.length && event.offsetX < 24) {
            if (open.has(node.name)) open.delete(node.name); else open.add(node.name);
            grow();
          } else answer(before() + node.name, true);
        });
        if (node.below.length) {
          const isOpen = typed ? within : open.has(node.name);
          item.setAttribute("aria-expanded", String(!!isOpen));
          if (isOpen) item.append(below); else items.length = mark + 1;
        }
        list.append(item);
      }
      return list.childElementCount > 0;
    };
    at("tree").textContent = "";
    if (!branch(genres, at("tree")) && typed)
      at("tree").append(make("li", "note", "Not among them: Enter writes it as your own."));
    const first = (fits) => items.findIndex((one) => fits(key(one.node.name)));
    const same = first((name) => name === typed);  // Electro, though Electronic comes before it
    activate(typed && items.length ? Math.max(0, same >= 0 ? same : first((name) => name.startsWith(typed))) : -1);
  };
  // What was typed in front of the genre at hand, of several.
  const before = () => {
    const parts = at("find").value.split(";");
    return parts.slice(0, -1).map((one) => one.trim() + "; ").join("");
  };
  const activate = (i) => {
    if (items[active]) items[active].item.setAttribute("aria-selected", "false");
    active = i;
    if (!items[i]) return at("find").removeAttribute("aria-activedescendant");
    items[i].item.setAttribute("aria-selected", "true");
    at("find").setAttribute("aria-activedescendant", items[i].item.id);
    items[i].item.firstChild.scrollIntoView({block: "nearest"});
  };
  at("find").addEventListener("input", grow);
  at("find").addEventListener("keydown", (event) => {
    const one = items[active];
    const atEnd = event.target.selectionStart === event.target.value.length;
    if (event.key === "ArrowDown") activate(Math.min(items.length - 1, active + 1));
    else if (event.key === "ArrowUp") activate(Math.max(-1, active - 1));
    else if ((event.key === "ArrowRight" || event.key === "ArrowLeft") && one && atEnd && one.node.below.length) {
      if (event.key === "ArrowRight") open.add(one.node.name); else open.delete(one.node.name);
      grow();
      activate(items.findIndex((other) => other.node === one.node));
    } else if (event.key === "Enter") {
      const typed = event.target.value.trim();
      // A genre that is only part of a longer word typed is not meant.
      const exact = one && (!typed || key(one.node.name).includes(key(typed.split(";").pop())));
      if (exact) answer(before() + one.node.name, true); else if (typed) answer(typed, false);
    } else if (event.key === "Escape") { at("find").value = ""; grow(); at("title").focus(); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  // Keys, as in the terminal.
  const KEYS = {
    // Not before the guesses are there: nobody has seen what it would take.
    Enter: () => shown && (shown.accepted ? answer(shown.accepted, true) : skip()),
    t: () => at("find").focus(), s: skip, p: toggle, u: undo, b: () => move(-1),
    a: () => pickAlbum(rows[here].group), ArrowUp: () => move(-1), ArrowDown: () => move(1),
    x: () => pick(here, !picked.has(here), false),
    Escape: unpick,
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || here < 0 || ended) return;
    const on = event.target, isBox = on.type === "checkbox";
    if (on.tagName === "INPUT" && !isBox) return;
    if (on.tagName === "BUTTON" && ["Enter", " "].includes(event.key)) return;
    if (event.repeat && !event.key.startsWith("Arrow")) return;
    const guess = shown && shown.guesses && /^[1-9]$/.test(event.key) && shown.guesses[event.key - 1];
    const does = guess ? () => answer(guess.genre, true) : KEYS[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
  at("play").addEventListener("click", toggle);
  at("skip").addEventListener("click", skip);
  at("undo").addEventListener("click", undo);
  at("back").addEventListener("click", () => move(-1));
  at("album").addEventListener("click", () => pickAlbum(rows[here].group));
  at("done").addEventListener("click", async () => {
    while (busy) await new Promise((go) => setTimeout(go, 50));
    alone(end);
  });
  const end = async () => {
    stop();
    ended = true;
    leaving.abort();
    await ask("done", {});
    at("main").hidden = at("queue").hidden = true;
    for (const id of ["undo", "done"]) at(id).disabled = true;
    say("The review has ended. This page can be closed; gtag undo takes the answers back.");
  };

  alone(async () => {
    const told = await ask("start");
    total = told.total;
    genres = told.genres;
    if (told.disagree) {
      words = {tracks: "doubted", skip: "keep yours", skipped: "kept"};
      at("skip").firstChild.textContent = "Keep yours ";
      at("skips").textContent = words.skip;
    }
    steps = told.steps;
    for (const number of told.answered) answered.add(number);
    const more = make("button", "", "Show more");
    more.type = "button";
    more.id = "more";
    more.addEventListener("click", () => alone(load));
    at("queue").append(more);
    await next(-1);
  });
})();
