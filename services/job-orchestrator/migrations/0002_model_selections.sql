-- Every selection of a model, with all that was weighed: also those of rows that came with a request and belong to no job.
alter table model_selection_log
  add column selection_id uuid not null default gen_random_uuid(),  -- for rows that are there: no row is the owner's to update
  add column model text not null default '',
  add column picks jsonb not null default '[]',       -- best first: algorithm, parameters, reason, expected quality, cost
  add column profile jsonb not null default '{}',     -- the numbers that the data were compared by
  add column review text not null default '',         -- of a second opinion: reordered, confirmed, or why it was not followed
  add column review_prompt text not null default '',
  add column review_answer text not null default '';
alter table model_selection_log drop constraint model_selection_log_pkey;
alter table model_selection_log
  alter column selection_id drop default,
  alter column job_id drop not null,
  add primary key (tenant_id, selection_id);
create index model_selection_log_by_job on model_selection_log (tenant_id, job_id);
create index model_selection_log_by_time on model_selection_log (tenant_id, select_time desc, selection_id desc);

-- @down
alter table model_selection_log no force row level security;
delete from model_selection_log where job_id is null;
alter table model_selection_log force row level security;
drop index model_selection_log_by_time;
drop index model_selection_log_by_job;
alter table model_selection_log drop constraint model_selection_log_pkey;
alter table model_selection_log alter column job_id set not null, add primary key (tenant_id, job_id);
alter table model_selection_log
  drop column selection_id, drop column model, drop column picks, drop column profile, drop column review,
  drop column review_prompt, drop column review_answer;
