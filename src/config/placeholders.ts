/** What the watcher needs to fill in placeholders; one place to import from. */
export { renderJob } from './render-job.js';
export {
  parseTemplate,
  placeholdersIn,
  render,
  renderElement,
  RenderError,
  type Lookup,
  type Placeholder,
  type PlaceholderValue,
} from './template-text.js';
