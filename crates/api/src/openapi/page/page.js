'use strict';
// Shows /openapi.json and tries its operations. Everything is made of elements and text: nothing of the document is taken for markup.

const root = location.pathname.replace(/\/docs\/?$/, '');
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
let doc;

function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text with `code` and **strong** words. */
function inline(text) {
  return String(text).split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.length > 1 && part.startsWith('`')) return el('code', {}, part.slice(1, -1));
    if (part.length > 3 && part.startsWith('**')) return el('strong', {}, part.slice(2, -2));
    return part;
  });
}

/** Paragraphs and lists. */
function prose(text) {
  return String(text || '').split(/\n\n+/).map((block) => {
    const lines = block.split('\n');
    if (!lines[0].startsWith('* ')) return el('p', {}, ...inline(block));
    return el('ul', {}, ...lines.map((line) => el('li', {}, ...inline(line.replace(/^\* /, '')))));
  });
}

function resolve(schema) {
  let seen = schema || {};
  while (seen.$ref) {
    const name = seen.$ref.split('/').pop();
    seen = { ...doc.components.schemas[name], ...(seen.description ? { description: seen.description } : {}) };
  }
  return seen;
}

/** The schema that counts where null is allowed beside it. */
function plain(schema) {
  const found = resolve(schema);
  const others = (found.oneOf || []).filter((one) => one.type !== 'null');
  return found.oneOf && others.length === 1 ? { ...resolve(others[0]), nullable: true } : found;
}

function typeOf(schema) {
  const found = plain(schema);
  const types = [].concat(found.type || []).filter((type) => type !== 'null');
  let name = types.join(' or ') || 'anything';
  if (name === 'array') name = `list of ${typeOf(found.items)}`;
  else if (name === 'object' && typeof found.additionalProperties === 'object') name = `object of ${typeOf(found.additionalProperties)}s`;
  else if (found.format === 'date-time' || found.format === 'uri') name = found.format;
  return name;
}

function limits(schema) {
  const found = plain(schema);
  const parts = [];
  if (found.enum) parts.push(found.enum.join(', '));
  if (found.minimum !== undefined && found.maximum !== undefined) parts.push(`${found.minimum} to ${found.maximum}`);
  if (found.maxLength) parts.push(`at most ${found.maxLength} characters`);
  if (found.maxItems) parts.push(`${found.minItems || 0} to ${found.maxItems} items`);
  if (found.default !== undefined) parts.push(`default ${found.default}`);
  if (found.nullable || [].concat(found.type).includes('null')) parts.push('or null');
  return parts.length ? ` · ${parts.join(' · ')}` : '';
}

/** Members of an object, and theirs. */
function members(schema, depth = 0) {
  const found = plain(schema);
  if (found.type === 'array') return members(found.items, depth);
  if (!found.properties || depth > 3) return null;
  const required = new Set(found.required || []);
  return el('div', { className: 'schema' }, ...Object.entries(found.properties).map(([name, property]) => {
    const about = plain(property).description;
    return el('div', {},
      el('code', {}, name), required.has(name) ? el('span', { className: 'must', title: 'required' }, ' *') : null,
      el('span', { className: 'note' }, ` ${typeOf(property)}${limits(property)}`),
      about ? el('div', { className: 'note' }, ...inline(about)) : null,
      members(property, depth + 1));
  }));
}

function exampleOf(schema, depth = 0) {
  const found = plain(schema);
  if (found.examples) return found.examples[0];
  if (found.enum) return found.enum[0];
  if (depth > 5) return null;
  const type = [].concat(found.type || [])[0];
  if (type === 'array') return [exampleOf(found.items, depth + 1)];
  if (type === 'object') return Object.fromEntries(Object.entries(found.properties || {}).map(([name, one]) => [name, exampleOf(one, depth + 1)]));
  if (type === 'integer' || type === 'number') return found.minimum || 0;
  if (type === 'boolean') return false;
  return type === 'string' ? '' : null;
}

function input(parameter) {
  const schema = plain(parameter.schema);
  const choices = schema.type === 'boolean' ? ['true', 'false'] : schema.enum;
  const needed = parameter.required;
  if (choices) return el('select', {}, ...(needed ? choices : ['', ...choices]).map((choice) => el('option', { value: choice }, choice)));
  const value = needed && schema.examples ? String(schema.examples[0]) : '';
  const hint = schema.default !== undefined ? String(schema.default) : '';
  return el('input', { value, placeholder: hint, autocomplete: 'off', spellcheck: false });
}

function parameters(operation) {
  const fields = (operation.parameters || []).map((parameter) => {
    const control = input(parameter);
    control.setAttribute('aria-label', parameter.name);
    const row = el('div', { className: 'field' },
      el('div', {}, el('code', {}, parameter.name), parameter.required ? el('span', { className: 'must' }, ' *') : null,
        el('div', { className: 'note' }, parameter.in)),
      el('div', {}, control, el('div', { className: 'note' }, ...inline(parameter.description || ''), limits(parameter.schema))));
    return { parameter, control, row };
  });
  return fields;
}

function responses(operation) {
  const rows = Object.entries(operation.responses).map(([status, response]) => {
    const [type, content] = Object.entries(response.content || {})[0] || [];
    const headers = Object.keys(response.headers || {});
    const shape = content && status < '300' && type === 'application/json' ? members(content.schema) : null;
    return el('tr', {}, el('td', { className: status < '300' ? 'ok' : 'not' }, status), el('td', {},
      ...inline(response.description),
      headers.length ? el('div', { className: 'note' }, `headers: ${headers.join(', ')}`) : null,
      shape ? el('details', {}, el('summary', { className: 'note' }, 'members'), shape) : null));
  });
  return el('table', {}, el('tbody', {}, ...rows));
}

function target(path, fields) {
  let filled = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, control } of fields) {
    const value = control.value;
    if (parameter.in === 'path') filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value === '') continue;
    else if (parameter.in === 'query') query.set(parameter.name, value);
    else headers[parameter.name] = value;
  }
  const text = query.toString();
  return { url: root + filled + (text ? `?${text}` : ''), headers };
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The same request for a terminal; the key is named, not shown. */
function curl(method, url, headers, body) {
  const lines = [`curl -i -X ${method.toUpperCase()} ${quoted(new URL(url, location.href).href)}`];
  for (const [name, value] of Object.entries(headers)) {
    lines.push(name === 'x-api-key' ? '  -H "x-api-key: $DRAWSPAN_API_KEY"' : `  -H ${quoted(`${name}: ${value}`)}`);
  }
  if (body !== undefined) lines.push(`  -d ${quoted(body)}`);
  return lines.join(' \\\n');
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function send(method, path, fields, area, out, button) {
  const empty = fields.find(({ parameter, control }) => parameter.required && control.value === '');
  if (empty) {
    empty.control.focus();
    return;
  }
  const { url, headers } = target(path, fields);
  const key = document.getElementById('key').value;
  const open = Array.isArray(doc.paths[path][method].security) && doc.paths[path][method].security.length === 0;
  if (key && !open) headers['x-api-key'] = key;
  const body = area && area.value.trim() !== '' ? area.value : undefined;
  if (body !== undefined) headers['content-type'] = 'application/json';
  button.disabled = true;
  const start = performance.now();
  const shown = [];
  try {
    const response = await fetch(url, { method: method.toUpperCase(), headers, body, credentials: 'omit', cache: 'no-store' });
    const text = await response.text();
    const took = Math.round(performance.now() - start);
    const told = ['content-type', 'retry-after', 'allow', 'idempotency-replayed'].map((name) => [name, response.headers.get(name)]).filter(([, value]) => value);
    shown.push(el('p', {}, el('strong', { className: response.ok ? 'ok' : 'not' }, `${response.status} ${response.statusText}`), el('span', { className: 'note' }, ` ${took} ms`)));
    if (told.length) shown.push(el('p', { className: 'note' }, told.map(([name, value]) => `${name}: ${value}`).join(' · ')));
    shown.push(text ? el('pre', {}, el('code', {}, pretty(text))) : el('p', { className: 'note' }, 'No body.'));
  } catch (error) {
    shown.push(el('p', { className: 'not' }, `No answer: ${error.message}`));
  }
  shown.push(el('details', {}, el('summary', { className: 'note' }, 'as a command'), el('pre', {}, el('code', {}, curl(method, url, headers, body)))));
  out.replaceChildren(...shown);
  button.disabled = false;
}

function filled(path, method, operation) {
  const fields = parameters(operation);
  const content = operation.requestBody && operation.requestBody.content['application/json'];
  const example = content && (content.example || exampleOf(content.schema));
  const area = content ? el('textarea', { value: JSON.stringify(example, null, 2), spellcheck: false }) : null;
  if (area) area.setAttribute('aria-label', 'body');
  const button = el('button', { type: 'button' }, 'Send');
  const out = el('div', { className: 'answer' });
  out.setAttribute('aria-live', 'polite');
  button.addEventListener('click', () => send(method, path, fields, area, out, button));
  return [
    ...prose(operation.description),
    fields.length ? el('h3', {}, 'Parameters') : null,
    ...fields.map((field) => field.row),
    area ? el('h3', {}, 'Body', operation.requestBody.required ? null : el('span', { className: 'note' }, ' may be left out')) : null,
    area,
    area ? members(content.schema) : null,
    el('div', { className: 'row' }, button),
    out,
    el('h3', {}, 'Answers'),
    responses(operation),
  ].filter(Boolean);
}

/** Has the address name what is opened, so that a reload, and whoever is sent the address, sees the same. */
function named(details) {
  details.querySelector('summary').addEventListener('click', () => {
    const hash = details.open ? '' : `#${encodeURIComponent(details.id)}`;
    history.replaceState(null, '', location.pathname + location.search + hash);
  });
  return details;
}

/** Opens what the address names. */
function follow() {
  const wanted = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (wanted && wanted.tagName === 'DETAILS') {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

function entry(path, method, operation) {
  const body = el('div', { className: 'body' });
  const details = el('details', { className: 'op', id: operation.operationId },
    el('summary', {}, el('span', { className: `method ${method}` }, method.toUpperCase()), el('span', { className: 'path' }, path), el('span', { className: 'what' }, operation.summary || '')),
    body);
  details.dataset.words = `${operation.operationId} ${method} ${path} ${operation.summary} ${operation.description}`.toLowerCase();
  details.addEventListener('toggle', () => {
    if (details.open && !body.firstChild) body.append(...filled(path, method, operation));
  });
  return named(details);
}

/** An event that is posted to a callback: nothing to try. */
function event(name, webhook) {
  const operation = webhook.post;
  const details = el('details', { className: 'op', id: operation.operationId },
    el('summary', {}, el('span', { className: 'method post' }, 'EVENT'), el('span', { className: 'path' }, name), el('span', { className: 'what' }, operation.summary)),
    el('div', { className: 'body' }, ...prose(operation.description), members(operation.requestBody.content['application/json'].schema), el('h3', {}, 'Your answer'), responses(operation)));
  details.dataset.words = `${name} ${operation.summary} event webhook callback`.toLowerCase();
  return named(details);
}

function show() {
  document.getElementById('version').textContent = doc.info.version;
  const main = document.getElementById('main');
  const parts = [el('div', { className: 'about' }, ...prose(doc.info.description))];
  for (const tag of doc.tags) {
    const entries = [];
    for (const [path, item] of Object.entries(doc.paths)) {
      for (const method of METHODS) {
        if (item[method] && item[method].tags.includes(tag.name)) entries.push(entry(path, method, item[method]));
      }
    }
    parts.push(el('section', {}, el('h2', {}, tag.name), el('p', { className: 'about' }, ...inline(tag.description)), ...entries));
  }
  const events = Object.entries(doc.webhooks || {}).map(([name, webhook]) => event(name, webhook));
  parts.push(el('section', {}, el('h2', {}, 'Events'), el('p', { className: 'about' }, 'What is posted to callbacks.'), ...events));
  main.replaceChildren(...parts);
  follow();
}

function find(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of document.querySelectorAll('main section')) {
    let some = false;
    for (const details of section.querySelectorAll('details.op')) {
      const fits = wanted.every((word) => details.dataset.words.includes(word));
      details.hidden = !fits;
      some = some || fits;
    }
    section.hidden = !some;
  }
}

async function start() {
  document.getElementById('download').href = `${root}/openapi.json`;
  document.getElementById('find').addEventListener('input', (typed) => find(typed.target.value));
  window.addEventListener('hashchange', () => doc && follow());
  try {
    const response = await fetch(`${root}/openapi.json`, { credentials: 'omit' });
    doc = await response.json();
    show();
  } catch (error) {
    document.getElementById('state').textContent = `The description could not be read: ${error.message}`;
  }
}

start();
