"use strict";
// Without this script the page shows every image with its first map; with it, the controls appear and work.
(() => {
  const page = document.documentElement;
  const find = (id) => document.getElementById(id);
  const maps = JSON.parse(find("maps").textContent);
  const list = find("cards");
  const cards = Array.from(list.children, (element, number) => ({
    element,
    number,
    maps: maps[number],
    shown: maps[number][0],
    name: element.dataset.name,
    sought: element.dataset.name.normalize().toLowerCase(),
    class: element.dataset.class,
    score: element.dataset.score === "" ? NaN : Number(element.dataset.score),
    warned: "warned" in element.dataset,
  }));
  for (const card of cards) {
    // The picture of the first map is not in the data, so that the page doesn't hold it twice.
    if (card.shown) card.shown.src = card.element.querySelector(".heat").src;
  }
  const cardOf = new Map(cards.map((card) => [card.element, card]));
  const failures = Array.from(document.querySelectorAll(".failed li"));
  const names = new Intl.Collator(undefined, { numeric: true });

  // Showing one map of a card.
  function show(card, map) {
    card.shown = map;
    const heat = card.element.querySelector(".heat");
    heat.closest(".stage").classList.remove("missing");
    heat.src = map.src;
    heat.alt = map.alt;
    card.element.querySelector(".looked figcaption").textContent = map.caption;
    const list = card.element.querySelector(".warnings");
    list.hidden = map.warnings.length === 0;
    list.replaceChildren(...map.warnings.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }));
    for (const select of card.element.querySelectorAll("select")) {
      select.value = map[select.dataset.axis];
    }
  }

  // Not every class has been explained by every method: then the nearest map with the wanted value is shown.
  function turn(card, axis, value) {
    const fitting = card.maps.filter((map) => map[axis] === value);
    const others = ["rank", "method", "layer"].filter((other) => other !== axis);
    const likeness = (map) => others.filter((other) => map[other] === card.shown[other]).length;
    const best = fitting.reduce((a, b) => (likeness(b) > likeness(a) ? b : a), fitting[0]);
    if (best && best !== card.shown) show(card, best);
  }

  function turnAll(axis, value) {
    for (const card of cards) turn(card, axis, value);
  }

  // Which cards are seen, and in which order; those without a score come last.
  const value = (score, none) => (Number.isNaN(score) ? none : score);
  const byScore = (a, b, none) => value(a.score, none) - value(b.score, none) || 0;
  const orders = {
    number: (a, b) => a.number - b.number,
    name: (a, b) => names.compare(a.name, b.name),
    class: (a, b) => names.compare(a.class, b.class) || (b.score || 0) - (a.score || 0),
    highest: (a, b) => byScore(b, a, -Infinity),
    lowest: (a, b) => byScore(a, b, Infinity),
  };
  const percent = document.body.dataset.percent !== undefined;

  function limit(id, none) {
    const number = find(id).valueAsNumber;
    return Number.isNaN(number) ? none : number / (percent ? 100 : 1);
  }

  // Cards that are out are taken off the page: hiding a thousand of them takes browsers seconds.
  function select() {
    const sought = find("search").value.normalize().toLowerCase().trim();
    const wanted = find("class").value;
    const [least, most] = [limit("least", -Infinity), limit("most", Infinity)];
    const bounded = least !== -Infinity || most !== Infinity;
    const warned = find("warned")?.checked;
    const order = orders[find("sort").value];
    const seen = cards
      .filter((card) => card.sought.includes(sought)
        && (!wanted || card.class === wanted)
        && (!bounded || (card.score >= least && card.score <= most))
        && (!warned || card.warned))
      .sort((a, b) => order(a, b) || a.number - b.number);
    list.replaceChildren(...seen.map((card) => card.element));
    for (const item of failures) {
      item.hidden = !item.dataset.name.normalize().toLowerCase().includes(sought);
    }
    const all = cards.length;
    find("count").textContent = seen.length === all
      ? `${all} image${all === 1 ? "" : "s"}` : `${seen.length} of ${all} images`;
    find("nothing").hidden = seen.length > 0 || all === 0;
    find("clear").hidden = seen.length === all;
  }

  function clear() {
    for (const id of ["search", "class", "least", "most"]) find(id).value = "";
    if (find("warned")) find("warned").checked = false;
    select();
    find("search").focus();
  }

  // Opacity: one for the page, and one for each card that has been given its own.
  function fade(element, percentage) {
    element.style.setProperty("--opacity", percentage / 100);
  }

  function fadeAll(percentage) {
    fade(page, percentage);
    for (const card of cards) {
      card.element.style.removeProperty("--opacity");
      const slider = card.element.querySelector(".opacity");
      if (slider) slider.value = percentage;
    }
  }

  function enlarge(button) {
    const card = button.closest(".card");
    const large = card.classList.toggle("large");
    button.setAttribute("aria-pressed", large);
    button.textContent = large ? "Smaller" : "Enlarge";
    card.scrollIntoView({ block: "nearest" });
  }

  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (page.dataset.theme ? page.dataset.theme === "dark" : systemDark.matches);

  function nameTheme() {
    find("theme-name").textContent = isDark() ? "Light" : "Dark";
  }

  list.addEventListener("input", ({ target }) => {
    if (target.matches(".opacity")) fade(target.closest(".card"), target.value);
  });
  list.addEventListener("change", ({ target }) => {
    if (!target.dataset.axis) return;
    turn(cardOf.get(target.closest(".card")), target.dataset.axis, target.value);
    const every = find("controls").querySelector(`[data-axis=${target.dataset.axis}]`);
    if (every && cards.length > 1) every.selectedIndex = -1;
  });
  list.addEventListener("click", ({ target }) => {
    if (target.matches(".enlarge")) enlarge(target);
  });
  list.addEventListener("error", ({ target }) => {
    target.closest(".stage")?.classList.add("missing");
  }, true);
  find("controls").addEventListener("submit", (event) => event.preventDefault());
  find("controls").addEventListener("input", ({ target }) => {
    if (target.id === "opacity") fadeAll(target.value);
    else if (target.dataset.axis) turnAll(target.dataset.axis, target.value);
    else select();
  });
  find("clear").addEventListener("click", clear);
  find("theme").addEventListener("click", () => {
    page.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
  });
  systemDark.addEventListener("change", nameTheme);

  // On a phone the controls start closed; where there is room they can't be closed.
  const narrow = matchMedia("(max-width: 860px)");
  const fold = () => { find("panel").open = !narrow.matches; };
  narrow.addEventListener("change", fold);

  fold();
  nameTheme();
  fadeAll(find("opacity").value);
  select();
  page.classList.add("live");
  for (const { element } of cards) {
    element.querySelector(".original img").src = element.querySelector(".photo").src;
  }
})();
