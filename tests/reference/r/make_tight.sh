#!/bin/sh
# Writes *.tight.json beside the CSV files: the models of the two-variance reference files at R's tight optimum.
set -e
full='lr_f * method * dataset'
line='lr_c * method * dataset'
method='(1 | seed) + (1 | seed:method)'
dataset='(1 | seed) + (1 | seed:dataset)'
for data in sim_null_80 sim_slopes_68 sim_slopes_80; do
  Rscript make_tight.R "$data.csv" "$data.seed_method.tight.json" drift_pct "$full" "$method" method lr_f,dataset
  Rscript make_tight.R "$data.csv" "$data.seed_dataset.tight.json" drift_pct "$full" "$dataset" method lr_f,dataset
  Rscript make_tight.R "$data.csv" "$data.seed_method_linear.tight.json" drift_pct "$line" "$method"
done
Rscript make_tight.R penicillin.csv penicillin.tight.json diameter 1 '(1 | plate) + (1 | sample)'
