/** What the watcher needs to fill in placeholders; one place to import from. */
export { renderJob } from './render-job.js';
export {
  parseTemplate,
  render,
  renderElement,
  RenderError,
  type Lookup,
  type PlaceholderValue,
} from './template-text.js';
